// One end of a connection that carries whole frames, whatever it runs over: a socket, or memory in tests and for the
// supervisor's own end. No accessors here and in what is asked with every message: in V8, of objects that have accessors of their own all but the
// first are dictionaries.
import type { Frame } from './envelope.ts';

export interface Port {
  /** Frames sent in one turn of the event loop leave together. After `close` a no-op. */
  send(frame: Frame): void;
  /** Bytes accepted and not yet taken by the other side. */
  queuedBytes(): number;
  /** Lets what is queued leave, then ends the connection. */
  close(): void;
}

export interface PortListener {
  /** What the frame lies in is written over afterwards: who keeps one copies it. To be sent on at once it needs no copy. */
  onFrame(frame: Frame): void;
  /** Called once. `reason` is empty for an orderly end. */
  onClose(reason: string): void;
  /** The queue is empty again after it was not. */
  onDrain(): void;
}

export type OpenPort = (listener: PortListener) => Port;
