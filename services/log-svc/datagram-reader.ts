// One datagram socket's turn: what waits in it becomes messages of its container.
import type { ClosingLanes } from '../../shared/kernel/closing-lanes.ts';
import { MAX_DATAGRAM_BYTES, parseDatagram } from './container-datagram.ts';
import type { Turn } from './message-keeper.ts';
import type { SocketKernel } from './socket-watch.ts';

/** Of one socket, before the next one's turn. */
const TURN_DATAGRAMS = 64;

// Used within one turn only, and turns do not overlap: nothing here is asynchronous.
const buffer = Buffer.allocUnsafeSlow(MAX_DATAGRAM_BYTES);

export interface DatagramParts {
  readonly kernel: Pick<SocketKernel, 'peekDatagram' | 'receiveWithDescriptors'>;
  readonly lanes: ClosingLanes;
}

/** The result answers whether there may be more, and throws KernelError. */
export function readDatagrams(
  fd: number,
  container: string,
  { kernel, lanes }: DatagramParts,
): (turn: Turn) => boolean {
  /** Nobody here wants descriptors, and whoever may send a datagram may send some with it. False when there was none. */
  const drop = (): boolean => {
    const received = kernel.receiveWithDescriptors(fd, 1);
    for (const descriptor of received?.descriptors ?? []) lanes.close(descriptor, container);
    return received !== undefined;
  };
  const readOne = (turn: Turn): boolean => {
    if (lanes.isFull(container)) return false;
    if (!turn.isOpen()) {
      if (!drop()) return false;
      turn.drop();
      return true;
    }
    const length = kernel.peekDatagram(fd, buffer);
    if (length === undefined) return false;
    const bytes = buffer.subarray(0, Math.min(length, buffer.length));
    // Before it leaves the queue: a kill finds it there, in the keeper's store, or laid down. Nothing was said in an empty one.
    if (length > 0) turn.keep(parseDatagram(bytes, { container, nowMs: Date.now(), length }), bytes.length);
    drop();
    return true;
  };
  return (turn) => {
    for (let count = 0; count < TURN_DATAGRAMS; count += 1) if (!readOne(turn)) return false;
    return true;
  };
}
