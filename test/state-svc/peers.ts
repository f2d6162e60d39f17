// ipam, net, lxc and log services in memory: they keep what the real ones keep, write down every call in order, and fail or
// die where a test says so.

import { ipamContract } from '../../services/ipam-svc/contract.ts';
import { createPreparedParts, joined } from '../../services/ipam-svc/prepared-parts.ts';
import { logContract } from '../../services/log-svc/contract.ts';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { netContract } from '../../services/net-svc/contract.ts';
import type { Clock } from '../../services/state-svc/clock.ts';
import { type Channel, fail, ok, type ServiceName } from '../../shared/ipc/contract.ts';
import type { MemoryBus } from '../../shared/ipc/memory-bus.ts';
import { indexAfter, pageFrom } from '../../shared/ipc/page.ts';
import type { Kept, Trouble, World } from './world.ts';

const TAKEN = {
  code: 'ADDRESS_TAKEN',
  pool: 'internal',
  container: 'web',
  interface: 'eth0',
  address: '10.0.5.9',
  holder: 'other',
} as const;
const OVERLAP = { pool: 'internal', subnet: '10.0.5.0/24' };
const containerOf = ({ container }: { readonly container: string }): string => container;
const lxcFailed = { step: 'test', reason: 'told to fail' };

/** `onCall` runs after every call was written down. */
export function createWorld(clock: Pick<Clock, 'nowMs' | 'elapsedMs'>, onCall: () => void): World {
  const calls: string[] = [];
  const containers = new Map<string, Kept>();
  const leases = new Map<string, string>();
  const attachments = new Set<string>();
  const loadedModules = new Set<string>();
  const troubles = new Map<string, Trouble>();
  const diesAtOnce = new Set<string>();
  const holds = new Map<string, Promise<void>>();
  let bus: MemoryBus | undefined;
  /** Of the last `net.configure`. */
  let leftOut: { pool: string; subnet: string; with: string; server?: string }[] = [];
  let netChannel: Channel | undefined;
  let lxcChannel: Channel | undefined;
  let nextPid = 100;

  const kept = (name: string): Kept => {
    const found = containers.get(name);
    if (found !== undefined) return found;
    const fresh: Kept = { revision: '0', mounted: false, running: undefined, exit: undefined };
    containers.set(name, fresh);
    return fresh;
  };
  const toldRun = ({ pid, startedMs, sinceMs }: NonNullable<Kept['running']>) => ({
    pid,
    startedMs,
    upMs: Math.floor(clock.elapsedMs() - sinceMs),
  });
  const lastOf = new Map<string, Promise<unknown>>();
  /** As lxc-svc works: one thing after the other with each container, whoever asked for it. */
  const inTurn = async <T>(container: string, work: () => Promise<T>): Promise<T> => {
    const mine = (lastOf.get(container) ?? Promise.resolve()).then(work, work);
    lastOf.set(container, mine);
    return await mine;
  };
  /** Writes the call down; true when it is to be refused. After a `die` nobody hears the answer. */
  const enter = async (service: ServiceName, step: string, container: string): Promise<boolean> => {
    const call = `${step} ${container}`;
    calls.push(call);
    onCall();
    await holds.get(step);
    const trouble = troubles.get(call);
    if (trouble === 'die') {
      troubles.delete(call);
      bus?.kill(service);
      setImmediate(() => connectors[service]?.());
    }
    if (trouble === 'throw') throw new Error('a bug');
    return trouble === 'refuse';
  };

  const connectIpam = (): void => {
    const channel = bus?.connect('ipam-svc');
    const parts = createPreparedParts();
    channel?.serve(ipamContract, {
      prepare: async ({ set, index, ...part }) => {
        await enter('ipam-svc', 'ipam.prepare', String(index));
        parts.add(set, index, part);
        return ok({});
      },
      configure: async ({ prepared, pools, ...own }) => {
        const before = prepared === undefined ? [] : parts.take(prepared.set, prepared.count);
        if (before === undefined) return fail({ code: 'PARTS_MISSING' });
        const { reservations, interfaces } = joined([...before, own]);
        world.reservations = reservations;
        world.pools = pools;
        world.interfaces = interfaces;
        const refused = await enter('ipam-svc', 'ipam.configure', String(pools.length));
        if (world.addressTaken) return fail(TAKEN);
        return refused ? fail({ code: 'JOURNAL_UNWRITABLE', reason: 'full' }) : ok({});
      },
      allocate: async ({ container, interfaces }) => {
        if (await enter('ipam-svc', 'ipam.allocate', container)) {
          return fail({ code: 'POOL_EXHAUSTED', pool: 'internal', size: 1, holders: 1 });
        }
        const reused = leases.has(container);
        const address = leases.get(container) ?? `10.0.5.${leases.size + 2}`;
        leases.set(container, address);
        const lease = { container, address, prefixLength: 24, gateway: '10.0.5.1', bridge: 'pvbr0', reused };
        return ok({
          leases: interfaces.map((each) => ({
            ...lease,
            pool: each.pool,
            interface: each.interface,
            mac: '02:00:0a:00:05:02',
          })),
        });
      },
      release: async ({ container }) => {
        if (await enter('ipam-svc', 'ipam.release', container)) {
          return fail({ code: 'JOURNAL_UNWRITABLE', reason: 'full' });
        }
        return ok({ released: leases.delete(container) });
      },
      listLeases: () =>
        ok({
          leases: [...leases].map(([container, address]) => ({
            pool: 'internal',
            container,
            interface: 'eth0',
            address,
            mac: '02:00:0a:00:05:02',
            state: 'leased' as const,
            sinceMs: clock.nowMs(),
          })),
        }),
      listPools: () => ok({ pools: [] }),
      health: () => ok({ reasons: [] }),
    });
    channel?.ready();
  };

  const attachmentOf = (container: string) => ({
    container,
    netns: `/run/netns/${container}`,
    interfaces: [{ interface: 'eth0', hostInterface: `veth-${container}` }],
  });
  const connectNet = (): void => {
    const channel = bus?.connect('net-svc');
    netChannel = channel;
    channel?.serve(netContract, {
      configure: async ({ pools, servers = [], leaveOut = false }) => {
        const refused = await enter('net-svc', 'net.configure', String(pools.length));
        const overlap = world.poolOverlap;
        const isFree = overlap === undefined || servers.includes(overlap.server ?? '');
        leftOut = isFree ? [] : [{ ...OVERLAP, ...overlap }];
        if (!isFree && !leaveOut) return fail({ code: 'POOL_OVERLAPS', overlaps: leftOut });
        return refused ? fail({ code: 'NET_FAILED', ...lxcFailed }) : ok({ nat: 'unneeded' as const, leftOut });
      },
      attach: async ({ container, interfaces }) => {
        const isRefused = await enter('net-svc', 'net.attach', container);
        const parents = interfaces.map((each) => world.pools.find(({ name }) => name === each.pool)?.bridge ?? '');
        const lacks = interfaces.some((each) => leftOut.some(({ pool }) => pool === each.pool));
        if (isRefused || lacks || parents.some((parent) => world.missingLinks.includes(parent))) {
          return fail({ code: 'NET_FAILED', ...lxcFailed });
        }
        attachments.add(container);
        return ok(attachmentOf(container));
      },
      detach: async ({ container }) => {
        if (await enter('net-svc', 'net.detach', container)) return fail({ code: 'NET_FAILED', ...lxcFailed });
        attachments.delete(container);
        return ok({});
      },
      listAttachments: ({ after }) => {
        const all = [...attachments].sort().map(attachmentOf);
        const { rows, next } = pageFrom(all, indexAfter(all, after, containerOf), containerOf);
        return ok({ attachments: rows, next });
      },
      listHostAddresses: ({ links }) => {
        const [link = ''] = links;
        const addresses = world.hostAddresses.map((address) => ({ link, address }));
        return ok({ addresses, missing: links.filter((each) => world.missingLinks.includes(each)) });
      },
      health: () => ok({ reasons: [] }),
    });
    channel?.ready();
  };

  const connectLxc = (): void => {
    const channel = bus?.connect('lxc-svc');
    lxcChannel = channel;
    channel?.serve(lxcContract, {
      mount: ({ container, revision }) =>
        inTurn(container, async () => {
          if (await enter('lxc-svc', 'lxc.mount', container)) return fail({ code: 'MOUNT_FAILED', ...lxcFailed });
          Object.assign(kept(container), { mounted: true, revision });
          return ok({ rootfs: `/run/rootfs/${container}` });
        }),
      start: ({ container }) =>
        inTurn(container, async () => {
          if (await enter('lxc-svc', 'lxc.start', container)) return fail({ code: 'START_FAILED', ...lxcFailed });
          const { mounted, running } = kept(container);
          if (!mounted) return fail({ code: 'NOT_MOUNTED' });
          const run = running ?? { pid: nextPid++, startedMs: clock.nowMs(), sinceMs: clock.elapsedMs() };
          Object.assign(kept(container), { running: run, exit: undefined });
          if (diesAtOnce.delete(container)) world.exit(container, { kind: 'code', code: 1 });
          return ok(toldRun(run));
        }),
      stop: ({ container, graceMs }) =>
        inTurn(container, async () => {
          world.graces.push(graceMs);
          if (await enter('lxc-svc', 'lxc.stop', container)) return fail({ code: 'STOP_FAILED', ...lxcFailed });
          world.exit(container, { kind: 'code', code: 0 });
          return ok({});
        }),
      unmount: ({ container }) =>
        inTurn(container, async () => {
          if (await enter('lxc-svc', 'lxc.unmount', container)) return fail({ code: 'UNMOUNT_FAILED', ...lxcFailed });
          const { running } = kept(container);
          if (running !== undefined) return fail({ code: 'RUNNING', pid: running.pid });
          containers.delete(container);
          const busy = world.busyMounts.get(container);
          return ok(busy === undefined ? {} : { detached: [...busy] });
        }),
      checkDisks: () => ok({ unavailable: [] }),
      listContainers: async ({ after }) => {
        await holds.get('lxc.listContainers');
        if (world.listsNothing) throw new Error('a bug');
        const names = [...containers.keys()].sort();
        const known = names.map((container) => {
          const { running, ...its } = kept(container);
          return { container, ...its, ...(running === undefined ? {} : { running: toldRun(running) }), logs: [] };
        });
        const { rows, next } = pageFrom(known, indexAfter(known, after, containerOf), containerOf);
        return ok({ containers: rows, next });
      },
      listMounts: () => ok({ mounts: [] }),
      loadModules: async ({ modules }) => {
        for (const { name, options } of modules) {
          const refused = await enter('lxc-svc', 'lxc.loadModule', [name, ...options].join(' '));
          if (refused) return fail({ code: 'MODPROBE_FAILED', module: name, reason: 'told to fail' });
          loadedModules.add(name.replaceAll('-', '_'));
        }
        return ok({});
      },
      unloadModules: async ({ modules }) => {
        for (const name of [...modules].reverse()) {
          const refused = await enter('lxc-svc', 'lxc.unloadModule', name);
          if (refused) return fail({ code: 'MODPROBE_FAILED', module: name, reason: 'told to fail' });
          loadedModules.delete(name.replaceAll('-', '_'));
        }
        return ok({});
      },
      listModules: () => ok({ modules: [...loadedModules], board: world.board }),
      runHooks: async ({ event, revision, ...situation }) => {
        world.hooks.push({ event, revision, ...situation });
        const isRefused = await enter('lxc-svc', `hooks.${event}`, revision);
        const failure = { hook: '10-check', reason: 'it ended with exit code 1', words: ['no key here'] };
        return isRefused ? fail({ code: 'HOOK_FAILED', ...failure }) : ok({ ran: 1 });
      },
      health: () => ok({ reasons: [] }),
    });
    channel?.ready();
  };

  const connectLog = (): void => {
    const channel = bus?.connect('log-svc');
    channel?.serve(logContract, {
      openRevision: ({ revision }) => {
        calls.push(`log.openRevision ${revision}`);
        onCall();
        return ok({});
      },
      health: () => ok({ reasons: [] }),
    });
    channel?.ready();
  };

  const connectors: Partial<Record<ServiceName, () => void>> = {
    'ipam-svc': connectIpam,
    'net-svc': connectNet,
    'lxc-svc': connectLxc,
    'log-svc': connectLog,
  };

  const world: World = {
    loadedModules,
    board: { deviceTrees: [], overlays: [] },
    calls,
    containers,
    graces: [],
    leases,
    attachments,
    busyMounts: new Map(),
    hooks: [],
    reservations: [],
    pools: [],
    interfaces: undefined,
    hostAddresses: [],
    missingLinks: [],
    troubles,
    diesAtOnce,
    addressTaken: false,
    poolOverlap: undefined,
    listsNothing: false,
    hold(step) {
      let release: () => void = () => undefined;
      holds.set(
        step,
        new Promise((resolve) => {
          release = resolve;
        }),
      );
      return () => {
        holds.delete(step);
        release();
      };
    },
    exit(container, status) {
      const found = containers.get(container);
      if (found?.running === undefined) return;
      const exit = { pid: found.running.pid, status, atMs: clock.nowMs() };
      Object.assign(found, { running: undefined, exit });
      lxcChannel?.publish(lxcContract, 'containerExited', { container, ...exit });
    },
    tellExit(container, pid, status) {
      lxcChannel?.publish(lxcContract, 'containerExited', { container, pid, status, atMs: clock.nowMs() });
    },
    awaitedChanged() {
      netChannel?.publish(netContract, 'awaitedChanged', { atMs: clock.nowMs() });
    },
    connect(newBus) {
      bus = newBus;
      for (const connect of Object.values(connectors)) connect();
    },
    restart(service) {
      bus?.kill(service);
      connectors[service]?.();
    },
    cutPower() {
      containers.clear();
      attachments.clear();
    },
  };
  return world;
}
