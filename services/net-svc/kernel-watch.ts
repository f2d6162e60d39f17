// Hears from the kernel when something changed that may be ours: links, addresses, routes and forwarding, here and in the
// namespaces of containers; nftables rules; mounts. Says only what kind: what differs is found by comparing.
import { closeSync, openSync } from 'node:fs';
import { EPOLLIN, EPOLLPRI, openPoller, type Watched } from '../../shared/kernel/epoll.ts';
import { KernelError, recv, setsockopt } from '../../shared/kernel/libc.ts';
import { bindNetlink, NETLINK_NETFILTER, NETLINK_ROUTE, openNetlink } from '../../shared/kernel/netlink.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { legacyTablesState } from './legacy-tables.ts';
import { isAllFrom } from './netlink-message.ts';
import { OWN_NETLINK_PORT } from './nft-elements.ts';

export type KernelArea = 'links' | 'rules' | 'mounts';
export const ALL_AREAS: readonly KernelArea[] = ['links', 'rules', 'mounts'];

/** linux/socket.h, linux/netlink.h, linux/rtnetlink.h, linux/netfilter/nfnetlink.h */
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_LISTEN_ALL_NSID = 8;
const RTNLGRP_LINK = 1;
const RTNLGRP_IPV4_IFADDR = 5;
const RTNLGRP_IPV4_ROUTE = 7;
/** Tells changes of forwarding, among other settings. */
const RTNLGRP_IPV4_NETCONF = 24;
const NFNLGRP_NFTABLES = 7;

/** What cannot be listened to is tried again after as long: a module of the kernel's may come, or descriptors be free. */
const LISTEN_AGAIN_MS = 60_000;

/** Between two looks at tables of which nobody tells: with a pass after it, well within a second. */
const LOOK_MS = 500;

export interface KernelWatch {
  /**
   * What changed since the last answer; nothing after `timeoutMs` (-1: never) or `close`. One call at a time. `unheardTables`, while
   * there are any, are looked at every half second.
   */
  next(timeoutMs: number, unheardTables?: () => readonly string[]): Promise<ReadonlySet<KernelArea>>;
  /** What cannot be heard at present, and why. A kernel without nftables has nothing to tell of rules. */
  deaf(): readonly { readonly area: KernelArea; readonly reason: string }[];
  close(): void;
}

interface Source extends Watched {
  readonly area: KernelArea;
}

const uint32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);

function listen(protocol: number, groups: readonly number[], everyNamespace: boolean): number {
  return openNetlink(protocol, (fd) => {
    bindNetlink(fd, {});
    // Of every namespace that has a number in ours, as containers' have by their veth peers (needs CAP_NET_BROADCAST).
    if (everyNamespace) setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, uint32(1));
    for (const group of groups) setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, uint32(group));
  });
}

const ROUTE_GROUPS = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_NETCONF];
export type Openers = Readonly<Record<KernelArea, () => Watched>>;

export const OPENERS: Openers = {
  links: () => ({ fd: listen(NETLINK_ROUTE, ROUTE_GROUPS, true), events: EPOLLIN }),
  rules: () => ({ fd: listen(NETLINK_NETFILTER, [NFNLGRP_NFTABLES], false), events: EPOLLIN }),
  // poll(2) marks it when the mounts of the namespace changed (proc_pid_mountinfo(5)), and forgets that by telling it.
  mounts: () => ({ fd: openSync('/proc/self/mountinfo', 'r'), events: EPOLLPRI }),
};

/** Events come in bursts: `settle` waits for the end of one after its first. Throws KernelError when nothing can be waited for at all. */
export function watchKernel(
  settle: () => Promise<void>,
  openers: Openers = OPENERS,
  listenAgainMs = LISTEN_AGAIN_MS,
): KernelWatch {
  const missing = new Map<KernelArea, unknown>();
  const open = (area: KernelArea): Source[] => {
    try {
      const source = { area, ...openers[area]() };
      missing.delete(area);
      return [source];
    } catch (error) {
      missing.set(area, error);
      return [];
    }
  };
  const sources: Source[] = ALL_AREAS.flatMap(open);
  const poller = openPoller(sources);
  let triedMs = performance.now();
  const deaf = () =>
    [...missing].flatMap(([area, error]) => (isWithoutNftables(error) ? [] : [{ area, reason: reasonOf(error) }]));

  /** Areas that are heard from now on: what happened before is known to nobody. */
  const listenAgain = (): KernelArea[] => {
    if (missing.size === 0 || performance.now() - triedMs < listenAgainMs) return [];
    triedMs = performance.now();
    const opened = [...missing.keys()].flatMap(open);
    for (const source of opened) poller.watch(source);
    sources.push(...opened);
    return opened.map(({ area }) => area);
  };

  const buffer = Buffer.allocUnsafeSlow(64 * 1024);
  let tablesState = '';
  let ended = false;
  let waiting = false;

  const release = (): void => {
    for (const { fd } of sources) closeSync(fd);
  };

  /** Descriptors that are ready, or word that tables changed which are looked at in between. */
  const waitFor = async (
    timeoutMs: number,
    unheardTables: () => readonly string[],
  ): Promise<{ readonly ready: readonly number[]; readonly tablesChanged: boolean }> => {
    for (let leftMs = timeoutMs; ; leftMs = timeoutMs < 0 ? -1 : leftMs - LOOK_MS) {
      const tables = unheardTables();
      if (tables.length === 0) return { ready: await poller.wait(leftMs), tablesChanged: false };
      const state = legacyTablesState(tables);
      const tablesChanged = state !== tablesState;
      tablesState = state;
      const ready = tablesChanged ? [] : await poller.wait(leftMs < 0 ? LOOK_MS : Math.min(leftMs, LOOK_MS));
      const isOver = timeoutMs >= 0 && leftMs <= LOOK_MS;
      if (ready.length > 0 || tablesChanged || ended || isOver) return { ready, tablesChanged };
    }
  };

  return {
    deaf,
    async next(timeoutMs, unheardTables = () => []) {
      if (ended) return new Set();
      const opened = listenAgain();
      if (opened.length > 0) return new Set(opened);
      waiting = true;
      const { tablesChanged, ...first } = await waitFor(
        deaf().length > 0 && (timeoutMs < 0 || timeoutMs > listenAgainMs) ? listenAgainMs : timeoutMs,
        unheardTables,
      );
      let ready = first.ready;
      if (ready.length > 0) {
        await settle();
        ready = [...ready, ...(await poller.wait(0))];
      }
      waiting = false;
      if (ended) {
        release();
        return new Set();
      }
      const heard = sources.filter(({ fd }) => ready.includes(fd));
      const news = heard.filter(({ fd, area }) => area === 'mounts' || drain(fd, buffer, area));
      return new Set([...news.map(({ area }) => area), ...(tablesChanged ? ['rules' as const] : [])]);
    },
    close() {
      if (ended) return;
      ended = true;
      poller.close();
      if (!waiting) release();
    },
  };
}

/** EPROTONOSUPPORT (socket(2)): it has no such protocol, or not yet. */
function isWithoutNftables(error: unknown): boolean {
  return error instanceof KernelError && error.errno === 'EPROTONOSUPPORT';
}

/** Takes all that is there. ENOBUFS says that some was lost, which is a change like any other. False: it was all done by us, element by element. */
function drain(fd: number, buffer: Buffer, area: KernelArea): boolean {
  let isNews = false;
  for (;;) {
    try {
      const bytes = recv(fd, buffer, 0);
      isNews ||= area !== 'rules' || !isAllFrom(OWN_NETLINK_PORT, buffer.subarray(0, bytes));
    } catch (error) {
      if (error instanceof KernelError && error.errno === 'EAGAIN') return isNews;
      if (!(error instanceof KernelError) || error.errno !== 'ENOBUFS') throw error;
      isNews = true;
    }
  }
}
