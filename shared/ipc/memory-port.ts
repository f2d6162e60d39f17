// Two ports joined in memory: frames go through the same reader as on a socket, one turn of the event loop later.
import { copyFrame, type Frame, sizeOf } from './envelope.ts';
import { createFrameReader } from './frame-reader.ts';
import type { OpenPort, Port, PortListener } from './port.ts';

interface End {
  listener: PortListener | undefined;
  inbox: Frame[];
  scheduled: boolean;
  closed: boolean;
}

const newEnd = (): End => ({ listener: undefined, inbox: [], scheduled: false, closed: false });

/** Both ends must be opened; what the first sends before the second is open waits. */
export function memoryPorts(): readonly [OpenPort, OpenPort] {
  const ends = [newEnd(), newEnd()] as const;
  return [opener(ends[0], ends[1]), opener(ends[1], ends[0])];
}

function opener(own: End, other: End): OpenPort {
  return (listener) => {
    own.listener = listener;
    if (own.inbox.length > 0) schedule(own);
    return portOf(own, other);
  };
}

function portOf(own: End, other: End): Port {
  return {
    send(frame) {
      if (own.closed || other.closed) return;
      // A copy, as a socket makes one: the broker restamps what it receives.
      other.inbox.push(copyFrame(frame));
      schedule(other);
    },
    queuedBytes: () => other.inbox.reduce((sum, frame) => sum + sizeOf(frame), 0),
    close() {
      for (const end of [other, own]) schedule(end, true);
    },
  };
}

function schedule(end: End, closing = false): void {
  if (closing) setImmediate(() => finish(end));
  if (end.scheduled || end.listener === undefined) return;
  end.scheduled = true;
  setImmediate(() => deliver(end));
}

function deliver(end: End): void {
  end.scheduled = false;
  const reader = createFrameReader((frame) => end.listener?.onFrame(frame));
  for (const frame of end.inbox.splice(0)) if (!end.closed) reader.push(frame.bytes);
}

function finish(end: End): void {
  if (end.closed) return;
  deliver(end);
  end.closed = true;
  end.listener?.onClose('');
}
