// The default routes of a container's namespace, without reading what else it put there: a million routes, which it makes in a minute, kept
// net-svc from answering anybody for seconds. In: its namespace; out: the default routes of the main table with metric 0.
import { withinNamespace } from '../../shared/kernel/network-namespace.ts';
import { MAX_READ } from './inside-view.ts';
import { attempt, NetFailure } from './net-failure.ts';
import { openFiltering } from './netlink-socket.ts';
import { type DefaultRoute, decodeDefaultRoute, dumpMainRoutes, isBeyondDefaultRoutes } from './rtnetlink-address.ts';

/** Throws NetFailure. */
export function defaultRoutesWithin(namespaceFd: number, container: string): readonly DefaultRoute[] {
  const step = `list default routes of ${container}`;
  const inside = attempt(step, () => withinNamespace(namespaceFd, openFiltering));
  try {
    return inside
      .dump(step, dumpMainRoutes(), (payload, read) => read.length >= MAX_READ || isBeyondDefaultRoutes(payload))
      .flatMap((payload) => decodeDefaultRoute(payload) ?? []);
  } catch (error) {
    // Where there never was a route there is no table.
    if (error instanceof NetFailure && error.reason.includes('ENOENT')) return [];
    throw error;
  } finally {
    inside.close();
  }
}
