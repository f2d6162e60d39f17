// Source: the datagram sockets of containers, read in turns, so that one that floods holds up none of the others.
import { performance } from 'node:perf_hooks';
import type { HealthReason } from '../../shared/schema/health.ts';
import { type AcceptedMessages, type DroppedBy, openAcceptedMessages } from './accepted-messages.ts';
import { MAX_DATAGRAM_BYTES, parseDatagram } from './container-datagram.ts';
import type { LogMessage, LogSink, LogSource } from './log-flow.ts';
import { createBudget, type Dropped, LIMITS, type Limits, type MessageBudget } from './message-budget.ts';
import type { SocketKernel, SocketWatch } from './socket-watch.ts';

export interface DatagramSockets {
  readonly container: string;
  /** Inherited, not to be closed: their numbers belong to the supervisor's bank. */
  readonly fds: readonly number[];
}

export interface ContainerSockets extends LogSource {
  /** Also called again for what is open already. */
  open(sockets: DatagramSockets): void;
  /** Nobody will send any more: reads the rest and lets go. */
  close(container: string): void;
  containers(): readonly string[];
}

export interface ContainerSocketsOptions {
  readonly acceptedPath: string;
  /** Loaded when the first socket is open: native code costs memory that a machine without containers has no use for. */
  readonly loadKernel: () => Promise<SocketKernel>;
  readonly limits?: Limits;
}

/** Of one socket, before the next one's turn. */
const TURN_DATAGRAMS = 64;
/** A socket whose container is over its budget is read so often: its senders wait as long as that, and no longer. */
const PACE_MS = 5;
/** At the end, what waits in a socket is read; a container that goes on sending does not keep us from ending. */
const LAST_TURNS = 64;

interface Speaker {
  readonly container: string;
  readonly budget: MessageBudget;
  fds: readonly number[];
}

export function createContainerSockets({
  acceptedPath,
  loadKernel,
  limits = LIMITS,
}: ContainerSocketsOptions): ContainerSockets {
  const speakers = new Map<string, Speaker>();
  const bySocket = new Map<number, Speaker>();
  const paced = new Map<number, NodeJS.Timeout>();
  const buffer = Buffer.allocUnsafeSlow(MAX_DATAGRAM_BYTES);
  let sink: LogSink | undefined;
  let accepted: AcceptedMessages | undefined;
  let kernel: SocketKernel | undefined;
  let watch: SocketWatch | undefined;
  let loading = false;
  let reporting: NodeJS.Timeout | undefined;
  let trouble = '';

  const nowMs = (): number => performance.now();

  const read = (fd: number, speaker: Speaker, from: SocketKernel, into: LogMessage[]): boolean => {
    const { container, budget } = speaker;
    for (let count = 0; count < TURN_DATAGRAMS; count += 1) {
      if (!budget.isOpen(nowMs())) {
        if (!from.dropDatagram(fd)) return false;
        budget.drop(nowMs());
        continue;
      }
      const length = from.peekDatagram(fd, buffer);
      if (length === undefined) return false;
      const bytes = buffer.subarray(0, Math.min(length, buffer.length));
      if (length > 0) {
        const message = parseDatagram(bytes, { container, nowMs: Date.now(), length });
        budget.spend(bytes.length);
        // Before it leaves the queue: a kill finds it there, in the store, or laid down.
        accepted?.accept(message);
        into.push(message);
      }
      from.dropDatagram(fd);
    }
    return true;
  };
  /** True when there may be more. */
  const turn = (fd: number, speaker: Speaker): boolean => {
    if (kernel === undefined || sink === undefined) return false;
    const batch: LogMessage[] = [];
    let more = false;
    try {
      more = read(fd, speaker, kernel, batch);
      trouble = '';
    } catch (error) {
      trouble = `the socket ${fd} of ${speaker.container} cannot be read: ${String(error)}`;
    }
    if (batch.length > 0) sink.messages(batch);
    settle(false);
    return more;
  };
  /** Says what is to be said of dropped messages now, and remembers what is to be said later. */
  const settle = (isLast: boolean): void => {
    const unreported: DroppedBy[] = [];
    const at = nowMs();
    for (const { container, budget } of speakers.values()) {
      const report = budget.takeReport(at, isLast);
      if (report !== undefined) sink?.messages([lossMessage(container, report)]);
      const later = budget.pending(at);
      if (later !== undefined) unreported.push({ container, ...later });
    }
    accepted?.finish(unreported);
    if (unreported.length === 0) return;
    reporting ??= setTimeout(() => {
      reporting = undefined;
      settle(false);
    }, limits.reportMs);
  };
  const onReady = (fd: number): void => {
    const speaker = bySocket.get(fd);
    if (speaker === undefined) return;
    turn(fd, speaker);
    if (speaker.budget.isOpen(nowMs())) {
      watch?.add(fd);
      return;
    }
    const timer = setTimeout(() => {
      paced.delete(fd);
      if (bySocket.get(fd) === speaker) watch?.add(fd);
    }, PACE_MS);
    paced.set(fd, timer);
  };
  const load = async (): Promise<void> => {
    if (loading || watch !== undefined) return;
    loading = true;
    try {
      kernel = await loadKernel();
      if (sink === undefined) return;
      watch = kernel.openWatch(onReady);
      for (const fd of bySocket.keys()) watch.add(fd);
    } catch (error) {
      trouble = `sockets cannot be read: ${String(error)}`;
    } finally {
      loading = false;
    }
  };
  const letGo = (fd: number): void => {
    watch?.remove(fd);
    clearTimeout(paced.get(fd));
    paced.delete(fd);
    bySocket.delete(fd);
  };
  const readRest = (speaker: Speaker): void => {
    for (const fd of speaker.fds) {
      for (let turns = 0; turns < LAST_TURNS && turn(fd, speaker); turns += 1);
    }
  };
  const watchAll = (speaker: Speaker): void => {
    for (const fd of speaker.fds) {
      bySocket.set(fd, speaker);
      watch?.add(fd);
    }
    if (sink !== undefined) void load();
  };

  return {
    start(to) {
      sink = to;
      accepted = openAcceptedMessages(acceptedPath);
      const { messages, dropped } = accepted.leftOver;
      const said = dropped.map(({ container, ...loss }) => lossMessage(container, loss));
      if (messages.length + said.length > 0) to.messages([...messages, ...said]);
      accepted.finish([]);
      if (speakers.size > 0) void load();
    },
    open({ container, fds }) {
      const known = speakers.get(container);
      if (known?.fds.every((fd, index) => fd === fds[index]) === true) return;
      for (const fd of known?.fds ?? []) letGo(fd);
      const speaker = { container, budget: known?.budget ?? createBudget(limits), fds };
      speakers.set(container, speaker);
      watchAll(speaker);
    },
    close(container) {
      const speaker = speakers.get(container);
      if (speaker === undefined) return;
      readRest(speaker);
      const report = speaker.budget.takeReport(nowMs(), true);
      if (report !== undefined) sink?.messages([lossMessage(container, report)]);
      for (const fd of speaker.fds) letGo(fd);
      speakers.delete(container);
      settle(false);
    },
    containers: () => [...speakers.keys()],
    stop() {
      for (const speaker of speakers.values()) readRest(speaker);
      settle(true);
      clearTimeout(reporting);
      for (const fd of [...bySocket.keys()]) letGo(fd);
      watch?.close();
      watch = undefined;
      accepted?.close();
      accepted = undefined;
      sink = undefined;
    },
    troubles: (): HealthReason[] =>
      trouble === '' ? [] : [{ code: 'LOG_UNREADABLE', subject: 'container sockets', message: trouble }],
  };
}

function lossMessage(container: string, { messages, forMs }: Dropped): LogMessage {
  const text = `${messages} messages dropped in ${forMs} ms: more than is kept of one container`;
  const origin = { kind: 'container', name: container } as const;
  return { timeMs: Date.now(), level: 'WARN', origin, src: 'log', text, fields: {} };
}
