// A device in miniature for the tests of state-svc: a storage folder with revision 0, the peers in memory, state-svc itself, and
// a ctl-svc that sees what ctl-svc would see.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ctlContract } from '../../services/ctl-svc/contract.ts';
import { ipamContract } from '../../services/ipam-svc/contract.ts';
import { logContract } from '../../services/log-svc/contract.ts';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { netContract } from '../../services/net-svc/contract.ts';
import type { BootState } from '../../services/state-svc/boot-state.ts';
import { openBootStore } from '../../services/state-svc/boot-store.ts';
import type { Checksums } from '../../services/state-svc/checksum-pool.ts';
import { checksumFile } from '../../services/state-svc/checksum-worker.ts';
import { createCommands } from '../../services/state-svc/commands.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { createHandlers } from '../../services/state-svc/handlers.ts';
import { openIntents } from '../../services/state-svc/intent-store.ts';
import { openLeaseHolds } from '../../services/state-svc/lease-hold-store.ts';
import { createLiveSettings } from '../../services/state-svc/live-settings.ts';
import { openMetadata } from '../../services/state-svc/metadata.ts';
import { openMetadataViews } from '../../services/state-svc/metadata-views.ts';
import { openDesk } from '../../services/state-svc/open-desk.ts';
import { openGarbage } from '../../services/state-svc/open-garbage.ts';
import { type RevisionRunner, runRevision } from '../../services/state-svc/revision-runner.ts';
import { openRevisionStore, type RevisionStore } from '../../services/state-svc/revision-store.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { supervisorContract } from '../../services/supervisor/contract.ts';
import { type Client, fail, ok } from '../../shared/ipc/contract.ts';
import { createMemoryBus } from '../../shared/ipc/memory-bus.ts';
import { allPages } from '../../shared/ipc/page.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { ContainerRow, Status } from '../../shared/schema/api.ts';
import { patient } from '../kit/patient.ts';
import { type MortalStore, mortalStore } from './mortal-store.ts';
import { createWorld } from './peers.ts';
import { createTestClock, type TestClock } from './test-clock.ts';
import type { World } from './world.ts';

export interface ContainerSpec {
  /** Keys of run.json over the defaults. */
  /** Lines of its LXC configuration; not a key of run.json. */
  readonly lxc?: string;
  readonly [key: string]: unknown;
}

export interface Device {
  readonly world: World;
  readonly clock: TestClock;
  readonly storage: string;
  readonly userMeta: Map<string, string>;
  readonly lines: readonly string[];
  /** As ctl-svc sees it. */
  readonly state: Client<typeof stateContract>;
  /** As the supervisor sees it. */
  readonly supervisor: Client<typeof stateContract>;
  /** Codes of the reboots that were asked for. */
  readonly reboots: readonly string[];
  /** Whether the supervisor says that it comes, or that it cannot count it. */
  onReboot: (asked: { readonly code: string; readonly counted: boolean }) => boolean | 'uncounted';
  /** Called with what is about to be written of which revision runs, and waited for. */
  onBootWrite: (state: BootState) => void | Promise<void>;
  /** Called with the name of the revision whose state is about to be read. */
  onRead: (revision: string) => void;
  /**
   * Starts state-svc; again: as after a SIGKILL of it; `tree`: of the whole tree; `cut`: as after a power cut, or a reboot;
   * `nothingRuns`: and the supervisor says so.
   */
  boot(how?: {
    readonly cut?: boolean;
    readonly tree?: boolean;
    readonly nothingRuns?: boolean;
  }): Promise<RevisionRunner>;
  rows(): Promise<Readonly<Record<string, ContainerRow>>>;
  /** Resolves when the condition holds; looked at again after every event and log line. */
  until(condition: () => boolean | Promise<boolean>): Promise<void>;
  untilStatus(container: string, status: Status): Promise<ContainerRow>;
  /** Every status of the container that was published, in order. */
  readonly history: Map<string, Status[]>;
  close(): Promise<void>;
}

export const POOL = { type: 'bridge', bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true };

export const LEASE_HOLD_MS = 3_600_000;
export const GARBAGE_DEFER_MS = 600_000;
export const TRIAL = { goalsTimeoutMs: 120_000, commitDelayMs: 25_000 };

const inProcess: Checksums = { checksum: async (path) => checksumFile(path), close: async () => undefined };
const CONTRACTS = [supervisorContract, logContract, ipamContract, netContract, lxcContract, stateContract, ctlContract];

/** What state-svc asks of the supervisor. */
const REBOOT_CONTRACT = {
  ...supervisorContract,
  requests: { reboot: supervisorContract.requests.reboot, powerOff: supervisorContract.requests.powerOff },
  events: {},
};

export async function createDevice(
  containers: Readonly<Record<string, ContainerSpec>>,
  deviceJson: object = { network: { pools: { internal: POOL } } },
  checksums: Checksums = inProcess,
  documents: Readonly<Record<string, object>> = {},
): Promise<Device> {
  const storage = await mkdtemp(join(tmpdir(), 'state-svc-'));
  const { document, objects } = stateOf(containers, deviceJson);
  await writeRevision(storage, '0', { document: { ...document, ...documents }, objects });
  const clock = createTestClock();
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of [...waiting]) look();
  };
  const world = createWorld(clock, wake);
  const bus = createMemoryBus(CONTRACTS);
  world.connect(bus);
  const supervisor = bus.connect('supervisor');
  const reboots: string[] = [];
  supervisor.serve(REBOOT_CONTRACT, {
    reboot: (asked) => {
      reboots.push(asked.code);
      const comes = device.onReboot(asked);
      wake();
      if (comes === 'uncounted') return fail({ code: 'REBOOT_UNCOUNTED', reason: 'ENOSPC' });
      return comes ? ok({}) : fail({ code: 'REBOOT_LOOP' });
    },
    powerOff: () => {
      reboots.push('POWEROFF');
      wake();
      return ok({});
    },
  });
  supervisor.ready();
  const ctl = bus.connect('ctl-svc');
  const state = ctl.client(patient(stateContract));
  const userMeta = new Map<string, string>();
  const lines: string[] = [];
  const history = new Map<string, Status[]>();
  ctl.subscribe(stateContract, 'containerChanged', {
    onEvent: ({ container }) => {
      const seen = history.get(container.name) ?? [];
      if (seen.at(-1) !== container.status) history.set(container.name, [...seen, container.status]);
      wake();
    },
    onLost: wake,
  });
  ctl.subscribe(stateContract, 'updateProgressed', { onEvent: wake, onLost: wake });
  const log = capture(lines, wake);
  let runner: RevisionRunner | undefined;
  let disk: MortalStore | undefined;
  let life = 'first';

  const device: Device = {
    world,
    clock,
    storage,
    userMeta,
    lines,
    state,
    supervisor: supervisor.client(patient(stateContract)),
    reboots,
    history,
    onBootWrite: () => undefined,
    onRead: () => undefined,
    onReboot: () => true,
    async boot(how = {}) {
      await runner?.close();
      await disk?.kill();
      if (how.cut === true) world.cutPower();
      if (how.cut === true || how.tree === true) life = `${life}+`;
      const channel = bus.connect('state-svc');
      const intents = await openIntents(join(storage, 'cache/containers.json'), log);
      disk = mortalStore(openRevisionStore(storage, checksums), intents);
      const mortal = disk.store;
      const store: RevisionStore = {
        ...mortal,
        async readState(revision) {
          device.onRead(revision);
          return mortal.readState(revision);
        },
      };
      const steps = openStepStore(storage, log);
      const bootStore = openBootStore(storage, steps, log);
      const { save } = bootStore;
      const metadata = await openMetadata(
        join(storage, 'cache'),
        { keys: new Set<string>(), entries: () => new Map() },
        log,
      );
      await mkdir(join(storage, 'meta'), { recursive: true });
      const views = openMetadataViews({
        folder: join(storage, 'meta'),
        metadata,
        clock,
        log,
        intervalMs: () => 10_000,
      });
      await steps.open();
      const started = await runRevision({
        channel,
        clock,
        log,
        store,
        intents: disk.intents,
        meta: (kind, key) => (kind === 'user' ? userMeta.get(key) : undefined),
        leaseHolds: openLeaseHolds(join(storage, 'cache/lease-holds.json'), log),
        views,
        leaseHoldMs: LEASE_HOLD_MS,
        startLimit: 2,
        bootStore: {
          ...bootStore,
          async save(state) {
            await device.onBootWrite(state);
            return save(state);
          },
        },
        steps,
        trial: TRIAL,
        life,
        nothingRuns: how.nothingRuns === true,
      });
      runner = started;
      const desk = await openDesk({
        storage,
        store,
        steps,
        clock,
        log,
        reservedPercent: () => 0,
        usedFor: (name) => started.updates.usedFor(name),
        makeRoom: () => garbage.makeRoom(),
      });
      const garbage = openGarbage({
        desk,
        clock,
        log,
        storage,
        reservedPercent: () => 0,
        needed: () => started.updates.needed(),
        settings: () => ({ keepFactory: false, deferMs: GARBAGE_DEFER_MS, thresholdPercent: 0 }),
      });
      const commands = createCommands({
        updates: started.updates,
        reboots: started.reboots,
        settled: started.settled,
        steps,
        clock,
        log,
        current: () => started.revision,
        collectGarbage: garbage.collect,
      });
      const settings = createLiveSettings([], metadata, log);
      const ipam = channel.client(ipamContract);
      channel.serve(
        stateContract,
        createHandlers({ runner: started, desk, garbage, metadata, settings, commands, ipam, clock }),
      );
      channel.ready();
      return runner;
    },
    async rows() {
      const all = await allPages(async (after) => {
        const answer = await state.listContainers({ after });
        return answer.ok ? { rows: answer.value.containers, next: answer.value.next } : { rows: [], next: undefined };
      });
      return Object.fromEntries(all.map((row) => [row.name, row]));
    },
    until: (condition) =>
      new Promise((resolve, reject) => {
        let looking = false;
        let again = false;
        const look = (): void => {
          again = looking;
          if (looking) return;
          const settle = (holds: boolean): void => {
            looking = false;
            if (holds && waiting.delete(look)) resolve();
            else if (again) setImmediate(look);
          };
          const answer = condition();
          // One question at a time: three hundred containers change faster than their list is read.
          looking = typeof answer !== 'boolean';
          if (typeof answer === 'boolean') settle(answer);
          else answer.then(settle, reject);
        };
        waiting.add(look);
        look();
      }),
    async untilStatus(container, status) {
      let row: ContainerRow | undefined;
      await device.until(async () => {
        row = (await device.rows())[container];
        return row?.status === status;
      });
      if (row === undefined) throw new Error('unreachable');
      return row;
    },
    async close() {
      bus.close();
      await runner?.close();
      await disk?.kill();
      await rm(storage, { recursive: true });
    },
  };
  return device;
}

function capture(lines: string[], wake: () => void): Logger {
  const at = (level: string) => (message: string) => {
    lines.push(`${level} ${message}`);
    // After the change that the line tells of.
    setImmediate(wake);
  };
  return {
    fatal: at('fatal'),
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    trace: at('trace'),
    flush: () => undefined,
  };
}

interface StateDocument {
  readonly document: object;
  readonly objects: readonly string[];
}

export function stateOf(containers: Readonly<Record<string, ContainerSpec>>, deviceJson: object): StateDocument {
  const document: Record<string, unknown> = { '#spec': 'pantavisor-service-system@1', 'device.json': deviceJson };
  const objects: string[] = [];
  const object = (text: string): string => {
    objects.push(text);
    return sha256(text);
  };
  for (const [name, { lxc = '', ...spec }] of Object.entries(containers)) {
    document[`${name}/run.json`] = {
      '#spec': 'service-manifest-run@1',
      name,
      type: 'lxc',
      config: 'lxc.container.conf',
      'root-volume': 'root.squashfs',
      storage: { 'lxc-overlay': { persistence: 'boot' } },
      ...spec,
    };
    document[`${name}/lxc.container.conf`] = object(`# ${name}\nlxc.init.cmd = /init\n${lxc}`);
    document[`${name}/root.squashfs`] = object(`root of ${name}`);
  }
  return { document, objects };
}

export async function writeRevision(storage: string, revision: string, state: StateDocument): Promise<void> {
  await write(join(storage, 'trails', revision, '.pvr/json'), JSON.stringify(state.document));
  for (const text of state.objects) await write(join(storage, 'objects', sha256(text)), text);
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function uploadId(): string {
  return randomBytes(16).toString('hex');
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
