// Taking containers off the network. A veth's end makes the kernel wait some 20 ms for its last users, and whoever asked with it. So its host
// side is only taken down, out of its bridge, and given a name that nobody looks for; it ends with its namespace, for which the
// kernel has a thread of its own. Where somebody else keeps the namespace, it is deleted a moment later.

import { closeSync } from 'node:fs';
import { withinNamespace } from '../../shared/kernel/network-namespace.ts';
import { listLinks, type OwnLink, ownLinks, withHost } from './host-links.ts';
import { DETACHED_ALIAS, detachedName } from './link-names.ts';
import { deleteMacvlans } from './macvlan.ts';
import { asNetFailure, attempt, NetFailure } from './net-failure.ts';
import { type NetlinkSocket, openRtnetlink } from './netlink-socket.ts';
import type { Namespaces } from './netns.ts';
import { changeLink, deleteGroup, type Link } from './rtnetlink-link.ts';

/**
 * Takes their interfaces off the network and their namespaces away: addresses, MACs and names are free when it returns. Goes on past
 * failures and answers them by container. Nothing there: a no-op.
 */
export function detachAll(
  namespaces: Namespaces,
  containers: readonly string[],
  mayHaveMacvlans = false,
): Map<string, NetFailure> {
  const reasons = new Map<string, string[]>();
  const note = (container: string, error: unknown): void => {
    const { message } = asNetFailure(`detach ${container}`, error);
    reasons.set(container, [...(reasons.get(container) ?? []), message]);
  };
  try {
    withHost((host) => takeOff(host, containers, note));
  } catch (error) {
    for (const container of containers) note(container, error);
  }
  if (mayHaveMacvlans) deleteInside(namespaces, containers, note);
  for (const container of containers) {
    try {
      attempt(`remove the namespace of ${container}`, () => namespaces.remove(container));
    } catch (error) {
      note(container, error);
    }
  }
  return new Map(
    [...reasons].map(([container, said]) => [container, new NetFailure(`detach ${container}`, said.join('; '))]),
  );
}

function deleteInside(
  namespaces: Namespaces,
  containers: readonly string[],
  note: (container: string, error: unknown) => void,
): void {
  for (const container of containers.filter((name) => namespaces.exists(name))) {
    const fd = namespaces.open(container);
    try {
      const inside = withinNamespace(fd, openRtnetlink);
      deleteMacvlans(inside, container, () => false);
      inside.close();
    } catch (error) {
      note(container, error);
    }
    closeSync(fd);
  }
}

function takeOff(
  host: NetlinkSocket,
  containers: readonly string[],
  note: (container: string, error: unknown) => void,
): void {
  const own = ownLinks(listLinks(host)).filter(({ container }) => containers.includes(container));
  try {
    host.apply(
      own.flatMap(({ link: { name, index }, container }) => [
        {
          step: `take veth ${name} of ${container} down`,
          message: changeLink(index, { up: false, master: 0, alias: DETACHED_ALIAS }),
        },
        // Kernels before 6.2 rename only what is down.
        { step: `rename veth ${name} of ${container}`, message: changeLink(index, { name: detachedName(index) }) },
      ]),
    );
  } catch (error) {
    // Whatever the kernel refused: what matters is which of them are still there.
    const left = new Set(listLinks(host).flatMap(({ index, name }) => [`${index} ${name}`]));
    for (const { link, container } of own.filter((each: OwnLink) => left.has(`${each.link.index} ${each.link.name}`))) {
      note(
        container,
        new NetFailure(`take off veth ${link.name} of ${container}`, asNetFailure('take off', error).message),
      );
    }
  }
}

/** As `detachAll` for one, to the end of its links. Throws what failed. */
export function detach(namespaces: Namespaces, container: string): void {
  const failure = detachAll(namespaces, [container]).get(container);
  removeDetached();
  if (failure !== undefined) throw failure;
}

/** Deletes what `detachAll` left to its namespace and is there still. Throws NetFailure. */
export function removeDetached(): void {
  withHost((host) => {
    const links = listLinks(host);
    const doomed = links.filter(({ alias }) => alias === DETACHED_ALIAS);
    if (doomed.length === 0) return;
    const group = unusedGroup(links);
    try {
      host.apply([
        ...doomed.map(({ name, index }) => ({
          step: `mark veth ${name} for deletion`,
          message: changeLink(index, { group }),
        })),
        { step: 'delete detached veths', message: deleteGroup(group) },
      ]);
    } catch (error) {
      // Those that ended meanwhile are what was wanted.
      if (listLinks(host).some(({ alias }) => alias === DETACHED_ALIAS)) throw error;
    }
  });
}

/** Any number that no link has; far from the small ones that people choose (/etc/iproute2/group). */
function unusedGroup(links: readonly Link[]): number {
  const used = new Set(links.map(({ group }) => group));
  let group = 0x62657274;
  while (used.has(group)) group++;
  return group;
}

/** Collects the calls of one turn of the event loop. `onDetached` is called after each turn. */
export function createDetachQueue(
  namespaces: Namespaces,
  mayHaveMacvlans: () => boolean,
  onDetached: () => void,
): (container: string) => Promise<void> {
  let turn: { readonly containers: Set<string>; readonly done: Promise<Map<string, NetFailure>> } | undefined;

  const nextTurn = () => {
    const containers = new Set<string>();
    const done = new Promise<Map<string, NetFailure>>((resolve, reject) => {
      setImmediate(() => {
        turn = undefined;
        try {
          resolve(detachAll(namespaces, [...containers], mayHaveMacvlans()));
          onDetached();
        } catch (error) {
          reject(error);
        }
      });
    });
    return { containers, done };
  };

  return async (container) => {
    turn ??= nextTurn();
    turn.containers.add(container);
    const failure = (await turn.done).get(container);
    if (failure !== undefined) throw failure;
  };
}

/** Namespaces that nobody keeps are gone by then. */
const SWEEP_MS = 1_000;
const SWEEP_AGAIN_MS = 15_000;

export interface DetachedSweep {
  /** What is detached now is gone a moment later, whoever keeps its namespace. */
  later(): void;
  close(): void;
}

/** `onFailure` hears why something stays; it is tried again. Keeps no process alive. */
export function createDetachedSweep(onFailure: (reason: string) => void): DetachedSweep {
  let timer: NodeJS.Timeout | undefined;
  const sweepAfter = (ms: number): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      try {
        removeDetached();
      } catch (error) {
        if (!(error instanceof NetFailure)) throw error;
        onFailure(error.message);
        sweepAfter(SWEEP_AGAIN_MS);
      }
    }, ms);
    timer.unref();
  };
  return { later: () => sweepAfter(SWEEP_MS), close: () => clearTimeout(timer) };
}
