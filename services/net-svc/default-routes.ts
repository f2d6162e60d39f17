// The default routes of a container's namespace, without reading what else it put there: a million routes, which it makes in a minute, kept
// net-svc from answering anybody for seconds. In: listings of its namespace; out: the default routes of the main table with metric 0.
import type { InsideLists } from './inside-view.ts';
import { NetFailure } from './net-failure.ts';
import { type DefaultRoute, decodeDefaultRoute, dumpMainRoutes, isBeyondDefaultRoutes } from './rtnetlink-address.ts';

/** Throws NetFailure. */
export function defaultRoutesWithin(lists: InsideLists, container: string): readonly DefaultRoute[] {
  try {
    return lists
      .dump(`list default routes of ${container}`, dumpMainRoutes(), isBeyondDefaultRoutes)
      .flatMap((payload) => decodeDefaultRoute(payload) ?? []);
  } catch (error) {
    // Where there never was a route there is no table.
    if (error instanceof NetFailure && error.reason.includes('ENOENT')) return [];
    throw error;
  }
}
