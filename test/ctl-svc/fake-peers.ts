// The services behind ctl-svc, as far as it asks them: each answers what the test puts here, or hangs.

import { ipamContract } from '../../services/ipam-svc/contract.ts';
import { logContract } from '../../services/log-svc/contract.ts';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { netContract } from '../../services/net-svc/contract.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { pageOf } from '../../services/state-svc/metadata-limits.ts';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import { type Channel, fail, ok, type Refusal, type Result, type ServiceName } from '../../shared/ipc/contract.ts';
import { pageFrom } from '../../shared/ipc/page.ts';
import type { ContainerRow, GroupRow } from '../../shared/schema/api.ts';
import type { DriverRow } from '../../shared/schema/drivers.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { MetadataKind } from '../../shared/schema/metadata.ts';
import { type FakeStore, fakeSteps, newStore, stepRequests } from './fake-steps.ts';
import { containerRow, groupRow } from './rows.ts';

type IpamLease = Result<(typeof ipamContract)['requests']['listLeases']>['leases'][number];
type Pool = Result<(typeof ipamContract)['requests']['listPools']>['pools'][number];
type Service = Result<(typeof supervisorContract)['requests']['listServices']>['services'][number];

export interface World {
  containers: ContainerRow[];
  groups: GroupRow[];
  leases: IpamLease[];
  pools: Pool[];
  services: Service[];
  reasons: Map<ServiceName, HealthReason[]>;
  sockets: { container: string; fd: number }[];
  /** Names of those that answer nothing, as after SIGSTOP. */
  hanging: Set<ServiceName>;
  readonly metadata: Readonly<Record<MetadataKind, Map<string, string>>>;
  overrides: { key: string; value: string }[];
  /** What state-svc answers to the next changes of metadata. */
  metadataRefusal:
    | (Refusal<typeof stateContract, 'setMetadata'> & Refusal<typeof stateContract, 'deleteMetadata'>)
    | undefined;
  /** By the container that names them; '' for the host. */
  readonly drivers: Map<string, DriverRow[]>;
  driverRefusal: Refusal<typeof stateContract, 'setDrivers'> | undefined;
  /** `<container> <action>` and `<container> ready`, in the order they came. */
  readonly asked: string[];
  readonly store: FakeStore;
}

export function newWorld(): World {
  return {
    containers: [
      containerRow('web', { roles: ['mgmt'] }),
      containerRow('base', { restart_policy: 'system', group: 'root' }),
      containerRow('waits', { status_goal: 'READY' }),
    ],
    groups: [groupRow('root', { restart_policy: 'system' }), groupRow('app')],
    leases: [],
    pools: [],
    services: [],
    reasons: new Map(),
    sockets: [],
    hanging: new Set(),
    metadata: { user: new Map(), device: new Map() },
    overrides: [],
    metadataRefusal: undefined,
    drivers: new Map(),
    driverRefusal: undefined,
    store: newStore(),
    asked: [],
  };
}

export type Connect = (service: ServiceName) => Channel;

const never = new Promise<never>(() => undefined);

export function startPeers(world: World, connect: Connect): void {
  startSupervisor(world, connect('supervisor'));
  startState(world, connect('state-svc'));
  startIpam(world, connect('ipam-svc'));
  startRest(world, connect);
}

function unlessHanging<T>(world: World, service: ServiceName, answer: () => T): T | Promise<never> {
  return world.hanging.has(service) ? never : answer();
}

function healthOf(world: World, service: ServiceName) {
  return () => unlessHanging(world, service, () => ok({ reasons: world.reasons.get(service) ?? [] }));
}

/** What ctl-svc may ask: the rest of a contract may grow without these fakes. */
const supervisorPart = {
  ...supervisorContract,
  requests: {
    listServices: supervisorContract.requests.listServices,
    controlService: supervisorContract.requests.controlService,
    listControlSockets: supervisorContract.requests.listControlSockets,
    health: supervisorContract.requests.health,
  },
};

function startSupervisor(world: World, channel: Channel): void {
  channel.serve(supervisorPart, {
    listServices: () => unlessHanging(world, 'supervisor', () => ok({ services: world.services })),
    controlService({ service, action }) {
      if (service === 'ctl-svc') return fail({ code: 'NOT_STOPPABLE', reason: 'nobody could start it' });
      if (!world.services.some(({ name }) => name === service)) return fail({ code: 'SERVICE_NOT_FOUND' });
      world.asked.push(`${service} ${action}`);
      return ok({});
    },
    listControlSockets: () => ok({ sockets: world.sockets }),
    health: healthOf(world, 'supervisor'),
  });
  channel.ready();
}

const statePart = {
  ...stateContract,
  requests: {
    listContainers: stateContract.requests.listContainers,
    listGroups: stateContract.requests.listGroups,
    controlContainer: stateContract.requests.controlContainer,
    signalReady: stateContract.requests.signalReady,
    listOverrides: stateContract.requests.listOverrides,
    listMetadata: stateContract.requests.listMetadata,
    setMetadata: stateContract.requests.setMetadata,
    deleteMetadata: stateContract.requests.deleteMetadata,
    listDrivers: stateContract.requests.listDrivers,
    setDrivers: stateContract.requests.setDrivers,
    releaseLeases: stateContract.requests.releaseLeases,
    ...stepRequests,
    health: stateContract.requests.health,
  },
};

const nameOf = ({ name }: { readonly name: string }): string => name;
const pageAfter = <R extends { readonly name: string }>(rows: readonly R[], after: string | undefined) =>
  pageFrom(rows, 1 + rows.findIndex(({ name }) => name === after), nameOf);

export function startState(world: World, channel: Channel): void {
  const here = <T>(answer: () => T) => unlessHanging(world, 'state-svc', answer);
  const find = (name: string) => world.containers.find((row) => row.name === name);
  channel.serve(statePart, {
    listContainers: ({ after }) =>
      here(() => {
        const { rows, next } = pageAfter(world.containers, after);
        return ok({ containers: rows, next });
      }),
    listGroups: ({ after }) =>
      here(() => {
        const { rows, next } = pageAfter(world.groups, after);
        return ok({ groups: rows, next });
      }),
    controlContainer: ({ container, action }) =>
      here(() => {
        const row = find(container);
        if (row === undefined) return fail({ code: 'CONTAINER_NOT_FOUND' });
        if (row.restart_policy === 'system') return fail({ code: 'POLICY_SYSTEM' });
        if (row.status === 'BLOCKED') {
          return fail({ code: 'NOT_ALLOWED', status: row.status, reason: 'an earlier group has not met its goal' });
        }
        world.asked.push(`${container} ${action}`);
        return ok({});
      }),
    signalReady: ({ container }) =>
      here(() => {
        if (find(container)?.status_goal !== 'READY') return fail({ code: 'SIGNAL_UNEXPECTED' });
        world.asked.push(`${container} ready`);
        return ok({});
      }),
    ...fakeSteps(world.store),
    listOverrides: () => here(() => ok({ overrides: world.overrides })),
    listMetadata: ({ kind, after }) =>
      here(() => {
        const { entries, next } = pageOf(world.metadata[kind], after);
        return ok({ entries, next });
      }),
    setMetadata: ({ kind, key, value }) =>
      here(() => {
        if (world.metadataRefusal !== undefined) return fail(world.metadataRefusal);
        world.metadata[kind].set(key, value);
        return ok({});
      }),
    deleteMetadata: ({ kind, key }) =>
      here(() => {
        if (world.metadataRefusal !== undefined) return fail(world.metadataRefusal);
        return world.metadata[kind].delete(key) ? ok({}) : fail({ code: 'KEY_NOT_FOUND' });
      }),
    listDrivers: ({ container = '', after }) =>
      here(() => {
        const refusal = world.driverRefusal;
        if (refusal?.code === 'NOT_NOW') return fail(refusal);
        const { rows, next } = pageAfter(world.drivers.get(container) ?? [], after);
        return ok({ drivers: rows, next });
      }),
    setDrivers: ({ action, container = 'host', driver = 'all' }) =>
      here(() => {
        world.asked.push(`${container} ${action} ${driver}`);
        return world.driverRefusal === undefined ? ok({}) : fail(world.driverRefusal);
      }),
    releaseLeases: ({ pool, container }) =>
      here(() => {
        const isOf = (lease: IpamLease) => lease.pool === pool && lease.container === container;
        if (!world.leases.some(isOf)) return fail({ code: 'NO_LEASE' });
        const status = find(container)?.status ?? 'STOPPED';
        if (status !== 'STOPPED') return fail({ code: 'NOT_STOPPED', status });
        const left = world.leases.filter((lease) => !isOf(lease));
        const released = world.leases.length - left.length;
        world.leases = left;
        return ok({ released });
      }),
    health: healthOf(world, 'state-svc'),
  });
  channel.ready();
}

const ipamPart = {
  ...ipamContract,
  requests: {
    listLeases: ipamContract.requests.listLeases,
    listPools: ipamContract.requests.listPools,
    health: ipamContract.requests.health,
  },
};

function startIpam(world: World, channel: Channel): void {
  channel.serve(ipamPart, {
    listLeases: ({ after, limit }) =>
      unlessHanging(world, 'ipam-svc', () => {
        const from = Number(after ?? 0);
        const next = from + limit < world.leases.length ? { next: String(from + limit) } : {};
        return ok({ leases: world.leases.slice(from, from + limit), ...next });
      }),
    listPools: () => unlessHanging(world, 'ipam-svc', () => ok({ pools: world.pools })),
    health: healthOf(world, 'ipam-svc'),
  });
  channel.ready();
}

const MOUNT = { target: '/run/lxc/web/rootfs', type: 'overlay', source: 'overlay' };

function startRest(world: World, connect: Connect): void {
  const net = connect('net-svc');
  const { health: netHealth, listAttachments } = netContract.requests;
  net.serve(
    { ...netContract, requests: { health: netHealth, listAttachments } },
    {
      health: healthOf(world, 'net-svc'),
      listAttachments: () => ok({ attachments: [{ container: 'web', netns: '/run/netns/web', interfaces: [] }] }),
    },
  );
  net.ready();
  const lxc = connect('lxc-svc');
  const { health: lxcHealth, listMounts } = lxcContract.requests;
  lxc.serve(
    { ...lxcContract, requests: { health: lxcHealth, listMounts } },
    {
      health: healthOf(world, 'lxc-svc'),
      listMounts: ({ container }) => ok({ mounts: container === 'web' ? [MOUNT] : [] }),
    },
  );
  lxc.ready();
  const log = connect('log-svc');
  const { health } = logContract.requests;
  log.serve({ ...logContract, requests: { health } }, { health: healthOf(world, 'log-svc') });
  log.ready();
}
