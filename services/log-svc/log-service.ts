// Puts the service together: which sources, which outputs, and which revision to go on with after a restart.
import { join } from 'node:path';
import process from 'node:process';
import { settingsOf, writtenOf } from '../../shared/config/launched-settings.ts';
import { createSettings, type Written } from '../../shared/config/settings.ts';
import type { Channel } from '../../shared/ipc/contract.ts';
import { whyUnwritten } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Launch } from '../../shared/service/launch.ts';
import { createCollector } from './collector.ts';
import { createConsoleMemory } from './console-memory.ts';
import { feedFromLxc } from './container-feed.ts';
import { createContainerSockets } from './container-sockets.ts';
import { createContainerTails } from './container-tails.ts';
import { logContract } from './contract.ts';
import { readCurrent } from './current-link.ts';
import { type Cursors, type Followed, readCursors, writeCursors } from './cursor-store.ts';
import { logHandlers } from './handlers.ts';
import { createKernelLog } from './kernel-log.ts';
import { openLiveOutputs } from './live-outputs.ts';
import { logSettings } from './log-settings.ts';
import { createServicePipes } from './service-pipe.ts';
import { feedSettings } from './settings-feed.ts';
import { feedFromSupervisor } from './socket-feed.ts';

/** After that, lines go where they went before the last boot: better in the wrong folder than in none. */
const REVISION_WAIT_MS = 10_000;

/** `compressWorker`: compress-worker.js. Returns once requests can be answered. The result ends it, in order. */
export function serveLogs(channel: Channel, launch: Launch, log: Logger, compressWorker: string): () => void {
  const root = join(launch.storage, 'logs');
  const folder = join(launch.rundir, 'log');
  const before = readCursors(join(folder, 'cursors.json'));
  const cursors = cursorKeeper(join(folder, 'cursors.json'), before);

  const settingsNow = (overrides: readonly Written[]) =>
    logSettings(createSettings([...writtenOf(launch), ...overrides]).settings, (problem) => log.warn(problem));
  const outputs = openLiveOutputs(settingsNow([]), {
    root,
    compressWorker,
    stdoutFd: launch.stdoutFd,
    pending: before.pending ?? {},
    written: before.written ?? {},
    listener: {
      onLoss: (path, reason) => log.error(`cannot write ${path}, dropping its lines: ${reason}`),
      onRecovered: (path, { lines, bytes, reason }) =>
        log.warn(`dropped ${lines} lines (${bytes} bytes) of ${path}, which can be written again: ${reason}`),
      onNote: (line) => log.info(line),
      onBegin: () => tails.keep(),
    },
  });
  const tails = createContainerTails(
    before.tails,
    (all) => cursors.update({ tails: all, pending: outputs.pending(), written: outputs.written() }),
    (line) => log.warn(line),
    createConsoleMemory(
      join(launch.rundir, 'lxc', '.consoles'),
      async () => (await import('../../shared/kernel/holes.ts')).punchHole,
    ),
    settingsOf(launch).value('PV_LXC_LOG_LEVEL'),
  );
  const pipes = createServicePipes(
    (launch.logPipes ?? []).map(({ source, fd }) => {
      return { origin: source, fd, acceptedPath: join(folder, `${source}.accepted`) };
    }),
  );
  const sockets = createContainerSockets({
    acceptedPath: join(folder, 'sockets.accepted'),
    async loadKernel() {
      const { socketKernel, exitNow } = await import('./socket-watch.ts');
      // A thread that closes what a container handed over would keep this process from ending for as long as that one likes.
      process.once('exit', exitNow);
      return socketKernel;
    },
  });
  const kernel =
    launch.kernelLogFd === undefined
      ? []
      : [
          createKernelLog({
            fd: launch.kernelLogFd,
            after: before.kernelSequence,
            onRead: (kernelSequence) => void cursors.update({ kernelSequence }),
          }),
        ];
  const collector = createCollector([pipes, tails, sockets, ...kernel], [outputs]);
  const openRevision = (revision: string) => {
    clearTimeout(patience);
    cursors.update({ revision });
    return collector.openRevision(revision);
  };
  const known = readCurrent(root);
  const patience = setTimeout(() => known !== undefined && openRevision(known), REVISION_WAIT_MS);
  // The same boot as before: our own restart. Another boot may be another revision, which state-svc will tell.
  if (before.revision !== undefined) openRevision(before.revision);

  const stopFeed = feedFromLxc(channel, tails, join(launch.rundir, 'lxc'), log);
  const stopSocketFeed = feedFromSupervisor(channel, sockets, log);
  const stopSettingsFeed = feedSettings(channel, log, (overrides) => outputs.change(settingsNow(overrides)));
  channel.serve(
    logContract,
    logHandlers({ openRevision, troubles: () => [...collector.troubles(), ...cursors.troubles()] }),
  );
  return () => {
    clearTimeout(patience);
    stopFeed();
    stopSocketFeed();
    stopSettingsFeed();
    collector.stop();
  };
}

/** An object of many paths has a hidden class for each of them, which a map has not. */
interface KeptCursors extends Omit<Cursors, 'tails'> {
  readonly tails: ReadonlyMap<string, Followed>;
}

function cursorKeeper(path: string, before: Cursors) {
  let now: KeptCursors = { ...before, tails: new Map(Object.entries(before.tails)) };
  let trouble = '';
  /** False: the file says what it said before. */
  const update = (change: Partial<KeptCursors>): boolean => {
    now = { ...now, ...change };
    try {
      writeCursors(path, { ...now, tails: Object.fromEntries(now.tails) });
      trouble = '';
      return true;
    } catch (error) {
      trouble = whyUnwritten(error);
      return false;
    }
  };
  return {
    update,
    troubles(): HealthReason[] {
      if (trouble === '') return [];
      const message = `${path} cannot be written, so a restart of log-svc repeats lines: ${trouble}`;
      return [{ code: 'LOG_UNWRITABLE', subject: path, message }];
    },
  };
}
