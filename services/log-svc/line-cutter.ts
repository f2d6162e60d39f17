// Cuts what is carried along as bytes into messages, for outputs that are made of lines. What a line lacks its end yet is given out, so
// that it can be kept where a kill does not reach it.
import { sourceName } from './container-file.ts';
import { createLineSplitter, type LineSplitter } from './line-splitter.ts';
import type { ContainerLog, Level, LogMessage } from './log-flow.ts';
import { LXC_LINE } from './lxc-level.ts';

/** A longer one is cut there. */
const MAX_LINE_BYTES = 16 * 1024;

export interface LineCutter {
  bytes(log: ContainerLog, bytes: Buffer): void;
  /** Lines that have waited for their end since the call before: they are lines as they are, a prompt perhaps. */
  finishOld(): void;
  finishAll(): void;
  /** Beginnings of lines, base64, by container and source. */
  pending(): Readonly<Record<string, string>>;
}

interface Cut {
  readonly log: ContainerLog;
  readonly splitter: LineSplitter;
  isOld: boolean;
}

/** `before`: what `pending` answered in an earlier life. */
export function createLineCutter(
  messages: (batch: readonly LogMessage[]) => void,
  before: Readonly<Record<string, string>>,
): LineCutter {
  const cuts = new Map<string, Cut>();
  const left = { ...before };
  const cutOf = (log: ContainerLog): Cut => {
    const key = `${log.container} ${log.source}`;
    const known = cuts.get(key);
    if (known !== undefined) return known;
    const cut: Cut = { log, splitter: createLineSplitter(MAX_LINE_BYTES), isOld: false };
    const begun = left[key];
    if (begun !== undefined) cut.splitter.push(Buffer.from(begun, 'base64'));
    delete left[key];
    cuts.set(key, cut);
    return cut;
  };
  const hand = ({ log, splitter }: Cut, bytes: Buffer): void => {
    const lines = splitter.push(bytes);
    if (lines.length > 0) messages(lines.map((line) => lineMessage(log, line, Date.now())));
  };
  const finish = (key: string, cut: Cut): void => {
    hand(cut, Buffer.from('\n'));
    cuts.delete(key);
  };
  return {
    bytes(log, bytes) {
      const cut = cutOf(log);
      cut.isOld = false;
      hand(cut, bytes);
    },
    finishOld() {
      for (const [key, cut] of cuts) {
        if (cut.isOld || cut.splitter.pendingBytes === 0) finish(key, cut);
        else cut.isOld = true;
      }
    },
    finishAll() {
      for (const [key, cut] of cuts) finish(key, cut);
    },
    pending() {
      const begun = [...cuts].filter(([, { splitter }]) => splitter.pendingBytes > 0);
      return { ...left, ...Object.fromEntries(begun.map(([key, { splitter }]) => [key, splitter.pending()])) };
    },
  };
}

const LXC_LEVELS: Readonly<Record<string, Level>> = {
  TRACE: 'TRACE',
  DEBUG: 'DEBUG',
  NOTICE: 'INFO',
  WARN: 'WARN',
  ERROR: 'ERROR',
  CRIT: 'FATAL',
  ALERT: 'FATAL',
  FATAL: 'FATAL',
};

function lineMessage({ container, source }: ContainerLog, line: string, timeMs: number): LogMessage {
  const said = source === 'lxc' ? LXC_LEVELS[LXC_LINE.exec(line)?.[1] ?? ''] : undefined;
  return {
    timeMs,
    level: said ?? 'INFO',
    origin: { kind: 'container', name: container },
    src: sourceName(source),
    // Looking behind keeps a run of them inside from being tried again at each.
    text: line.replace(/(?<!\r)\r+$/, ''),
    fields: {},
  };
}
