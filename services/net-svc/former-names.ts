// Host sides that an earlier build named otherwise (`vb…`) get today's names before anybody looks for one. Whose they are says their
// alias. They are renamed in place: the end inside keeps its index, addresses and routes, and a container that runs notices nothing.
import { listLinks, type OwnLink, ownLinks } from './host-links.ts';
import { hostInterfaceName } from './link-names.ts';
import { collectFailures, NetFailure } from './net-failure.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { changeLink } from './rtnetlink-link.ts';

/** `onFailure` hears why one keeps the name that it has; `before` is called first where there is one to rename. */
export function renameFormer(
  host: NetlinkSocket,
  onFailure: (reason: string) => void,
  before: () => void = () => undefined,
): void {
  const renaming = ownLinks(listLinks(host)).flatMap(({ link, ...owner }) => {
    const name = hostInterfaceName(owner.container, owner.interface);
    const step = `rename veth ${link.name} to ${name}`;
    return link.kind === 'veth' && link.name !== name ? [{ step, act: () => rename(host, link, name, step) }] : [];
  });
  if (renaming.length > 0) before();
  for (const { message } of collectFailures(renaming)) onFailure(message);
}

function rename(host: NetlinkSocket, { index, up }: OwnLink['link'], name: string, step: string): void {
  const renamed = { step, message: changeLink(index, { name }) };
  try {
    host.apply([renamed]);
  } catch (error) {
    if (!(error instanceof NetFailure) || !error.reason.includes('EBUSY')) throw error;
    // Kernels before 6.2 rename only what is down. In one datagram, of which the kernel does all: it is not left down.
    const set = (wanted: boolean) => ({ step, message: changeLink(index, { up: wanted }) });
    host.apply([set(false), renamed, set(up)]);
  }
}
