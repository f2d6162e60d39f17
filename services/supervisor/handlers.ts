// What services may ask of the supervisor.
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { isoTime } from '../../shared/time/iso-time.ts';
import type { ContainerSockets } from './container-sockets.ts';
import type { supervisorContract } from './contract.ts';
import { proportionalMemory } from './process-record.ts';
import type { Reboots } from './reboots.ts';
import type { StartTurns } from './start-turns.ts';
import type { StorageGiving } from './storage-giving.ts';
import type { SupervisedService } from './supervised-service.ts';
import type { Watchdog } from './watchdog.ts';

export interface Tree {
  readonly services: readonly SupervisedService[];
  readonly sockets: ContainerSockets;
  readonly reboots: Reboots;
  readonly watchdog: Watchdog;
  readonly turns: StartTurns;
  /** What was written as configuration and cannot be used. */
  readonly warnings: readonly string[];
  /** What of the storage could not be looked at, or given to the service that it belongs to. */
  readonly unprepared: readonly string[];
  /** Tells what it could not. */
  readonly giveStorage: StorageGiving;
  uidOf(service: SupervisedService): number;
  queueDepth(service: SupervisedService): number;
}

export function createHandlers(tree: Tree): Handlers<typeof supervisorContract> {
  return {
    listServices: () => ok({ services: tree.services.map((service) => serviceRow(service, tree)) }),
    controlService: ({ service: name, action }) => {
      const service = tree.services.find(({ contract }) => contract.service === name);
      if (service === undefined) return fail({ code: 'SERVICE_NOT_FOUND' });
      if (action === 'stop' && name === 'ctl-svc') {
        return fail({ code: 'NOT_STOPPABLE', reason: 'without it nobody could ask for its start' });
      }
      tree.turns.forget(service.contract.service);
      // Its end takes as long as it takes; the list of services shows it.
      if (action === 'stop') void service.stop();
      else service.start();
      return ok({});
    },
    openSockets: ({ container }) => {
      try {
        tree.sockets.open(container);
        return ok({ folder: tree.sockets.folderOf(container) });
      } catch (error) {
        return fail({ code: 'SOCKET_FAILED', reason: reasonOf(error) });
      }
    },
    closeSockets: ({ container }) => {
      tree.sockets.close(container);
      return ok({});
    },
    listControlSockets: () => ok({ sockets: [...tree.sockets.controlSockets()] }),
    listLogSockets: () => ok({ sockets: [...tree.sockets.logSockets()] }),
    reboot: ({ counted, ...cause }) => {
      const answer = tree.reboots.ask(cause, counted);
      if (answer.kind === 'looped') return fail({ code: 'REBOOT_LOOP' });
      return answer.kind === 'counted' ? ok({}) : fail({ code: 'REBOOT_UNCOUNTED', reason: answer.reason });
    },
    giveStorage: async (_params, { caller }) => {
      await tree.giveStorage(caller);
      return ok({});
    },
    powerOff: ({ message }) => {
      tree.reboots.powerOff(message);
      return ok({});
    },
    health: () =>
      ok({
        reasons: [
          ...tree.services.flatMap((service) => healthOf(service, tree)),
          ...tree.reboots.health(),
          ...tree.watchdog.health(),
          ...tree.warnings.map(configReason),
          ...unpreparedReasons(tree.unprepared),
        ],
      }),
  };
}

/** What is on its way somewhere is shown there, also while it waits for its turn. */
function shownState({ contract, state }: SupervisedService, { turns }: Tree) {
  if (state === 'renewing' || turns.isWaiting(contract.service)) return 'starting';
  return state === 'stopping' ? 'stopped' : state;
}

function serviceRow(service: SupervisedService, tree: Tree) {
  const { contract, pid, restarts, lastExit, upMs } = service;
  const state = shownState(service, tree);
  return {
    name: contract.service,
    pid,
    uid: tree.uidOf(service),
    capabilities: [...contract.privileges.capabilities],
    state,
    respawn: state !== 'stopped',
    restarts,
    last_exit:
      lastExit === undefined
        ? null
        : { reason: lastExit.reason, last_words: lastExit.lastWords, at: isoTime(lastExit.atMs) },
    uptime_seconds: (upMs ?? 0) / 1000,
    memory_bytes: pid === 0 ? 0 : proportionalMemory(pid),
    queue_depth: tree.queueDepth(service),
  };
}

function configReason(message: string): HealthReason {
  return { code: 'CONFIG_INVALID', subject: 'configuration', message: message.slice(0, 500) };
}

function unpreparedReasons(lines: readonly string[]): readonly HealthReason[] {
  if (lines.length === 0) return [];
  const message = `check its file system, and restart Berth: ${lines.join('; ')}`;
  return [{ code: 'STORAGE_UNPREPARED', subject: 'storage', message: message.slice(0, 500) }];
}

function healthOf(service: SupervisedService, tree: Tree): HealthReason[] {
  const { contract, degraded, lastExit } = service;
  const state = shownState(service, tree);
  const subject = contract.service;
  const why = lastExit === undefined ? '' : `, last: ${lastExit.reason}`;
  if (degraded) {
    return [
      {
        code: 'SERVICE_DEGRADED',
        subject,
        message: `${subject} ends too often${why}; see its last words in /services`,
      },
    ];
  }
  if (state === 'ready') return [];
  return [{ code: 'SERVICE_DOWN', subject, message: `${subject} is ${state}${why}` }];
}
