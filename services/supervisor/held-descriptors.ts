// What the supervisor keeps open so that services can die without a caller or a log line noticing: the tree's locks, the
// sockets, the log pipes; and which of it each service inherits under which number.
import { closeSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { settingsOf } from '../../shared/config/launched-settings.ts';
import type { WrittenSysctl } from '../../shared/config/sysctls.ts';
import type { ServiceName } from '../../shared/ipc/contract.ts';
import { listenUnix, pipe2NonBlocking } from '../../shared/kernel/unix-sockets.ts';
import { BROKER_FD, type Launch } from '../../shared/service/launch.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { type ContainerSockets, createContainerSockets } from './container-sockets.ts';
import { holdKernelLog } from './held-kernel-log.ts';
import { openStdout } from './held-stdout.ts';
import { closeByLastHolder } from './last-holder.ts';
import type { Places } from './spawn-arguments.ts';
import type { TreeLock } from './tree-lock.ts';

export interface Inheritance {
  readonly launch: Launch;
  /** From BROKER_FD + 1 on, in this order. */
  readonly inheritedFds: readonly number[];
}

export interface HeldDescriptors {
  readonly containerSockets: ContainerSockets;
  /** The write end of a service's log pipe; its read end is log-svc's. */
  logFdOf(service: ServiceName): number;
  /** To be asked anew at every start of the service. */
  inheritanceOf(service: ServiceName): Inheritance;
  close(): void;
}

/** What services are told that is not about descriptors. */
export interface LaunchSettings {
  readonly mode: Launch['mode'];
  /** Configuration that is not as the defaults have it. */
  readonly settings: NonNullable<Launch['settings']>;
  /** What was written as configuration and cannot be used: reasons of health, too. */
  readonly warnings: readonly string[];
  /** What the log alone is told of the configuration. */
  readonly notes: readonly string[];
  /** Parameters of the kernel that are to be set. */
  readonly sysctls: readonly WrittenSysctl[];
}

/** Only root may connect; connections wait while ctl-svc restarts. */
const HOST_SOCKET = { mode: 0o600, backlog: 128 };
/** Every service inherits the locks from BROKER_FD + 1 on; what follows is its own. */
const FIRST_OWN_FD = BROKER_FD + 3;

export function holdDescriptors(
  lock: TreeLock,
  services: readonly ServiceName[],
  places: Places,
  { mode, settings }: LaunchSettings,
  say: (line: string) => void,
): HeldDescriptors {
  const { rundir, storage } = places;
  let mayAnythingRun = !lock.isFirst;
  // The kernel's (random(4)): node:crypto would bring OpenSSL into the supervisor for this alone.
  const life = readFileSync('/proc/sys/kernel/random/uuid', 'latin1').trim();
  const hostSocketPath = join(rundir, 'pv-ctrl');
  const hostSocketFd = listenUnix(hostSocketPath, HOST_SOCKET);
  const pipes = new Map(services.map((service) => [service, pipe2NonBlocking()]));
  const stdout = wantsStdout(settings) ? openStdout() : undefined;
  const isKernelLogWanted = settingsOf({ settings }).value('PV_LOG_CAPTURE_DMESG');
  const kernelLog = isKernelLogWanted ? holdKernelLog(say) : undefined;
  const logFds = [...[...pipes.values()].map(({ readFd }) => readFd), ...defined(stdout?.fd)];
  const kernelLogFd = FIRST_OWN_FD + logFds.length;
  const containerSockets = createContainerSockets(join(rundir, 'ctl'), {
    control: FIRST_OWN_FD + 1,
    log: kernelLogFd + (kernelLog === undefined ? 0 : 1),
  });

  const own = (service: ServiceName): { readonly launch: Partial<Launch>; readonly fds: readonly number[] } => {
    switch (service) {
      case 'ctl-svc':
        return { launch: { hostSocketFd: FIRST_OWN_FD }, fds: [hostSocketFd, ...containerSockets.control.inherit()] };
      case 'log-svc':
        return {
          launch: {
            logPipes: [...pipes.keys()].map((source, index) => ({ source, fd: FIRST_OWN_FD + index })),
            ...(stdout === undefined ? {} : { stdoutFd: FIRST_OWN_FD + pipes.size }),
            ...(kernelLog === undefined ? {} : { kernelLogFd }),
          },
          fds: [...logFds, ...defined(kernelLog?.open()), ...containerSockets.log.inherit()],
        };
      case 'lxc-svc':
        return { launch: { logUid: resolveUid('berth-log') }, fds: [] };
      case 'state-svc': {
        const nothingRuns = !mayAnythingRun;
        mayAnythingRun = true;
        return { launch: { life, ...(nothingRuns ? { nothingRuns } : {}) }, fds: [] };
      }
      default:
        return { launch: {}, fds: [] };
    }
  };

  return {
    containerSockets,
    logFdOf(service) {
      const pipe = pipes.get(service);
      if (pipe === undefined) throw new Error(`no log pipe for ${service}`);
      return pipe.writeFd;
    },
    inheritanceOf(service) {
      const { launch, fds } = own(service);
      return { launch: { service, rundir, storage, mode, settings, ...launch }, inheritedFds: [...lock.fds, ...fds] };
    },
    close() {
      // A client finds no socket then, instead of one that refuses it.
      rmSync(hostSocketPath, { force: true });
      stdout?.close();
      const pipeFds = [...pipes.values()].flatMap(({ readFd, writeFd }) => [readFd, writeFd]);
      const socketFds = [...containerSockets.control.fds, ...containerSockets.log.fds];
      kernelLog?.close();
      for (const fd of [hostSocketFd, ...lock.fds, ...pipeFds]) closeSync(fd);
      closeByLastHolder(socketFds);
    },
  };
}

function defined(fd: number | undefined): readonly number[] {
  return fd === undefined ? [] : [fd];
}

function wantsStdout(settings: NonNullable<Launch['settings']>): boolean {
  return settingsOf({ settings })
    .value('PV_LOG_SERVER_OUTPUTS')
    .some((output) => output.startsWith('stdout'));
}
