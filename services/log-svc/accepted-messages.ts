// Messages that were taken from containers' sockets and are not laid down yet, on disk, so that SIGKILL loses none of them.
//
// <rundir>/log/sockets.accepted, an accepted store (accepted-store.ts) of lines of JSON:
//   {"message":{…}}                           accepted, and perhaps still in the socket's queue: then it comes twice
//   {"dropped":{"container":…,"messages":n,"forMs":n}}   dropped, and not reported yet
import * as z from 'zod/mini';
import { containerName } from '../../shared/schema/names.ts';
import { openAcceptedStore } from './accepted-store.ts';
import type { LogMessage } from './log-flow.ts';
import type { Dropped } from './message-budget.ts';

const droppedBy = z.strictObject({ container: containerName, messages: z.int(), forMs: z.number() });
const line = z.union([
  z.strictObject({
    message: z.strictObject({
      timeMs: z.number(),
      level: z.enum(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']),
      origin: z.strictObject({ kind: z.literal('container'), name: containerName }),
      src: z.string(),
      text: z.string(),
      fields: z.record(z.string(), z.unknown()),
    }),
  }),
  z.strictObject({ dropped: droppedBy }),
]);
export type DroppedBy = Dropped & { readonly container: string };

export interface LeftOver {
  readonly messages: readonly LogMessage[];
  readonly dropped: readonly DroppedBy[];
}

export interface AcceptedMessages {
  /** What a predecessor accepted and did not lay down, and what it dropped and did not report. */
  readonly leftOver: LeftOver;
  accept(message: LogMessage): void;
  /** All messages are laid down; `unreported` is still to be said. */
  finish(unreported: readonly DroppedBy[]): void;
  close(): void;
}

/** Never throws, as the store below it. */
export function openAcceptedMessages(path: string): AcceptedMessages {
  const store = openAcceptedStore(path);
  const put = (entry: z.input<typeof line>): number => {
    const bytes = Buffer.from(`${JSON.stringify(entry)}\n`);
    store.accept(bytes);
    return bytes.length;
  };
  let clean = store.leftOver.length === 0;
  return {
    leftOver: readLines(store.leftOver),
    accept(message) {
      clean = false;
      put({ message: { ...message, origin: { kind: 'container', name: message.origin.name } } });
    },
    finish(unreported) {
      if (clean && unreported.length === 0) return;
      const pendingBytes = unreported.reduce((sum, dropped) => sum + put({ dropped }), 0);
      store.finish(pendingBytes);
      clean = pendingBytes === 0;
    },
    close: () => store.close(),
  };
}

/** The last line may be torn: its message is in the socket's queue still. */
function readLines(bytes: Buffer): LeftOver {
  const messages: LogMessage[] = [];
  const dropped: DroppedBy[] = [];
  for (const text of bytes.toString('utf8').split('\n')) {
    const parsed = line.safeParse(jsonOf(text));
    if (!parsed.success) continue;
    if ('message' in parsed.data) messages.push(parsed.data.message);
    else dropped.push(parsed.data.dropped);
  }
  return { messages, dropped };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
