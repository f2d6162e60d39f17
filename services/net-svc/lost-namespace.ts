// Finds the namespace that a running container lives in after its file lost its mount while net-svc was away. Only one that is
// proven to be the container's is answered: a wrong guess would put one container into another's network.
//
// A veth proves it by what nothing inside can forge: its host side bears our alias, and the kernel tells the number of the
// namespace that the other end is in. A macvlan has no host side: its name, alias, MAC and parent inside must all be right, and in one
// namespace only.
import { closeSync, openSync, readdirSync } from 'node:fs';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { type HostView, linksWithin } from './host-links.ts';
import { isPair } from './interface-plan.ts';
import { attachmentAlias, hostInterfaceName } from './link-names.ts';
import { NetFailure } from './net-failure.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import type { Link } from './rtnetlink-link.ts';
import { decodeNumber, getNumberByFd, getNumberByPid } from './rtnetlink-namespace.ts';

export interface LostNamespace {
  readonly container: string;
  readonly leases: readonly Lease[];
  readonly isMacvlan: (pool: string) => boolean;
  /** It had its interfaces already. A first attach of a macvlan need not look through all processes. */
  readonly wasAttached: boolean;
  /** The container's first process, where somebody knows it; otherwise all processes are looked at. */
  readonly pid: number | undefined;
}

/** A descriptor that the caller closes; undefined when no process lives in a namespace that is the container's. Throws NetFailure. */
export function findLostNamespace(lost: LostNamespace, { host, find }: HostView): number | undefined {
  const pairs = lost.leases.flatMap(({ interface: name }) => {
    const link = find(hostInterfaceName(lost.container, name));
    return link?.kind === 'veth' && link.alias === attachmentAlias(lost.container, name) ? [link] : [];
  });
  const parents = lost.leases.flatMap((lease) => {
    const parent = lost.wasAttached && lost.isMacvlan(lease.pool) ? find(lease.bridge) : undefined;
    return parent === undefined ? [] : [{ lease, parent }];
  });
  if (pairs.length + parents.length === 0) return undefined;
  const isOurs = (links: readonly Link[]): boolean =>
    pairs.length > 0
      ? pairs.every((pair) => links.some((link) => isPair(pair, link)))
      : parents.every(({ lease, parent }) => links.some((link) => isMacvlanOf(link, lease, parent)));
  const numbers = new Set(pairs.map(({ peerNamespace }) => peerNamespace));
  const found = inhabited(lost, host)
    .filter(({ number }) => numbers.size === 0 || (numbers.size === 1 && numbers.has(number)))
    .flatMap(({ number, pid }) => openOf(lost.container, number, pid, host) ?? []);
  const proven = found.filter((fd) => isOurs(linksWithin(fd, lost.container)));
  const [first, ...others] = proven;
  for (const fd of found) if (fd !== first || others.length > 0) closeSync(fd);
  if (others.length > 0) throw new NetFailure(stepOf(lost), `${proven.length} namespaces look like its own`);
  return first;
}

const stepOf = ({ container }: Pick<LostNamespace, 'container'>): string => `find the namespace of ${container}`;

function isMacvlanOf(link: Link, lease: Lease, parent: Link): boolean {
  return (
    link.kind === 'macvlan' &&
    link.name === lease.interface &&
    link.alias === attachmentAlias(lease.container, lease.interface) &&
    link.mac === lease.mac &&
    link.peerElsewhere &&
    link.peer === parent.index
  );
}

interface Inhabited {
  readonly number: number;
  readonly pid: number;
}

/** Namespaces with a number in ours that processes live in, each once. */
function inhabited(lost: LostNamespace, host: NetlinkSocket): Inhabited[] {
  const pids = lost.pid === undefined ? processes() : [lost.pid];
  const byNumber = new Map<number, Inhabited>();
  for (const pid of pids) {
    const answer = host.get(stepOf(lost), getNumberByPid(pid));
    const number = answer === undefined ? undefined : decodeNumber(answer);
    if (number !== undefined && !byNumber.has(number)) byNumber.set(number, { number, pid });
  }
  return [...byNumber.values()];
}

function processes(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Needs CAP_SYS_PTRACE (ptrace(2), PTRACE_MODE_READ_FSCREDS). Undefined when the process ended, or its pid is another's by now. */
function openOf(container: string, number: number, pid: number, host: NetlinkSocket): number | undefined {
  let fd: number;
  try {
    fd = openSync(`/proc/${pid}/ns/net`, 'r');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errorCode(error))) return undefined;
    throw new NetFailure(stepOf({ container }), reasonOf(error));
  }
  const answer = host.get(stepOf({ container }), getNumberByFd(fd));
  if (answer !== undefined && decodeNumber(answer) === number) return fd;
  closeSync(fd);
  return undefined;
}
