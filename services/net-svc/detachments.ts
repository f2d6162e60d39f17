// Taking containers off the network. Deleting a veth makes the kernel wait some 20 ms for its last users, whether one or
// twenty go at once: what is asked for together is deleted together, as a group.
import { closeSync } from 'node:fs';
import { listLinks, type OwnLink, ownLinks, withHost } from './host-links.ts';
import { deleteMacvlans } from './macvlan.ts';
import { asNetFailure, attempt, NetFailure } from './net-failure.ts';
import { type NetlinkSocket, openNetlink } from './netlink-socket.ts';
import { type Namespaces, withinNamespace } from './netns.ts';
import { changeLink, deleteGroup } from './rtnetlink-link.ts';

/** Removes the container's veth pairs, then its namespace. Goes on past failures and throws them together. Nothing there: a no-op. */
export function detach(namespaces: Namespaces, container: string): void {
  const failure = detachAll(namespaces, [container]).get(container);
  if (failure !== undefined) throw failure;
}

/** As `detach` for several; answers the failures by container. */
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
  // First the links: with the namespace they would go only some time later.
  try {
    withHost((host) => deleteLinks(host, containers, note));
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
      const inside = withinNamespace(fd, openNetlink);
      deleteMacvlans(inside, container, () => false);
      inside.close();
    } catch (error) {
      note(container, error);
    }
    closeSync(fd);
  }
}

function deleteLinks(
  host: NetlinkSocket,
  containers: readonly string[],
  note: (container: string, error: unknown) => void,
): void {
  const doomed = ownLinks(listLinks(host)).filter(({ container }) => containers.includes(container));
  if (doomed.length === 0) return;
  const group = unusedGroup(host);
  try {
    host.apply(
      doomed.map(({ link, container }) => ({
        step: `mark veth ${link.name} of ${container} for deletion`,
        message: changeLink(link.index, { group }),
      })),
    );
    host.apply([{ step: 'delete marked veths', message: deleteGroup(group) }]);
  } catch (error) {
    // Whatever the kernel refused: what matters is which of them are still there.
    const left = new Set(listLinks(host).map(({ index }) => index));
    for (const { link, container } of doomed.filter((own: OwnLink) => left.has(own.link.index))) {
      note(
        container,
        new NetFailure(`delete veth ${link.name} of ${container}`, asNetFailure('delete', error).message),
      );
    }
  }
}

/** Any number that no link has; far from the small ones that people choose (/etc/iproute2/group). */
function unusedGroup(host: NetlinkSocket): number {
  const used = new Set(listLinks(host).map(({ group }) => group));
  let group = 0x62657274;
  while (used.has(group)) group++;
  return group;
}

/** Collects the calls of one turn of the event loop, also those that queued up while the kernel was waiting. */
export function createDetachQueue(
  namespaces: Namespaces,
  mayHaveMacvlans: () => boolean = () => false,
): (container: string) => Promise<void> {
  let turn: { readonly containers: Set<string>; readonly done: Promise<Map<string, NetFailure>> } | undefined;

  const nextTurn = () => {
    const containers = new Set<string>();
    const done = new Promise<Map<string, NetFailure>>((resolve, reject) => {
      setImmediate(() => {
        turn = undefined;
        try {
          resolve(detachAll(namespaces, [...containers], mayHaveMacvlans()));
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
