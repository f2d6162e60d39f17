// Source: the kernel's own log, read from /dev/kmsg, which the supervisor opens for us.
import { readSync } from 'node:fs';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { sinceBootMs } from '../../shared/time/boot-clock.ts';
import type { Level, LogMessage, LogSink, LogSource } from './log-flow.ts';
import { SEVERITY_LEVELS } from './syslog-format.ts';

export interface KernelLogOptions {
  /** Does not block. At the oldest record that the kernel has: what a killed predecessor read and did not hand on comes again. */
  readonly fd: number;
  /** The last record that was handed on in this boot: what is not newer is passed over. Undefined: none. */
  readonly after: number | undefined;
  readonly onRead: (sequence: number) => void;
}

/** Not every kernel wakes a poller of /dev/kmsg that it handed on; a look costs one system call. */
const LOOK_MS = 1_000;
/** Of the kernel (CONSOLE_EXT_LOG_MAX, kernel/printk/internal.h): a smaller buffer is refused. */
const MAX_RECORD_BYTES = 8192;
/** Others are heard in between. */
const MAX_TURN_RECORDS = 256;

export interface KernelRecord {
  readonly sequence: number;
  readonly level: Level;
  /** Since the boot. */
  readonly microseconds: number;
  readonly text: string;
}

/** `6,1234,5326145019,-;text\n KEY=value\n`, as the kernel's Documentation/ABI/testing/dev-kmsg has it. Undefined: it is something else. */
export function parseKernelRecord(record: string): KernelRecord | undefined {
  const [, priority, sequence, microseconds, text] = /^(\d+),(\d+),(\d+)[^;\n]*;([^\n]*)/.exec(record) ?? [];
  if (text === undefined) return undefined;
  // syslog(3): the severity is the lowest three bits.
  const level = SEVERITY_LEVELS[Number(priority) & 7] ?? 'INFO';
  return { sequence: Number(sequence), level, microseconds: Number(microseconds), text: unescaped(text) };
}

/** What is not printable comes as \xhh; bytes beyond ASCII are put together again, the rest stays escaped. */
function unescaped(text: string): string {
  return text.replace(/(?:\\x[89a-f][0-9a-f])+/gi, (run) => Buffer.from(run.replaceAll('\\x', ''), 'hex').toString());
}

export function createKernelLog({ fd, after = -1, onRead }: KernelLogOptions): LogSource {
  const buffer = Buffer.alloc(MAX_RECORD_BYTES);
  let timer: NodeJS.Timeout | undefined;
  let last = after;
  let trouble = '';

  /** Undefined: nothing is there now. Empty: records were overwritten before they were read. */
  const readOne = (): string | undefined => {
    try {
      return buffer.toString('utf8', 0, readSync(fd, buffer));
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EPIPE') return '';
      trouble = code === 'EAGAIN' ? '' : String(error);
      return undefined;
    }
  };
  /** Answers whether there may be more. */
  const turn = (sink: LogSink): boolean => {
    const batch: LogMessage[] = [];
    const bootMs = Date.now() - sinceBootMs();
    let records = 0;
    for (; records < MAX_TURN_RECORDS; records++) {
      const read = readOne();
      if (read === undefined) break;
      const record = parseKernelRecord(read);
      if (record === undefined || record.sequence <= last) continue;
      if (last >= 0 && record.sequence > last + 1) batch.push(missing(record.sequence - last - 1));
      last = record.sequence;
      batch.push(messageOf(record, bootMs + record.microseconds / 1000));
    }
    if (batch.length > 0) {
      sink.messages(batch);
      onRead(last);
    }
    return records === MAX_TURN_RECORDS;
  };
  const loop = (sink: LogSink): void => {
    timer = setTimeout(() => loop(sink), turn(sink) ? 0 : LOOK_MS);
  };
  return {
    start: loop,
    stop: () => clearTimeout(timer),
    troubles() {
      if (trouble === '') return [];
      return [{ code: 'LOG_UNREADABLE', subject: '/dev/kmsg', message: `the kernel's log cannot be read: ${trouble}` }];
    },
  };
}

const OWN = { origin: { kind: 'service', name: 'log-svc' }, src: 'dmesg', fields: {} } as const;

function messageOf({ level, text }: KernelRecord, timeMs: number): LogMessage {
  return { ...OWN, timeMs, level, text };
}

function missing(records: number): LogMessage {
  return {
    ...OWN,
    timeMs: Date.now(),
    level: 'WARN',
    text: `${records} messages of the kernel are missing here: it overwrote them`,
  };
}
