// The native side of reading containers' sockets, loaded when there is one: which are ready, and what is in them.
import { peekDatagram } from '../../shared/kernel/datagrams.ts';
import {
  acceptConnection,
  kindOfDescriptor,
  receiveWithDescriptors,
  spliceWaiting,
} from '../../shared/kernel/descriptor-passing.ts';
import { EPOLLIN, EPOLLONESHOT, openPoller } from '../../shared/kernel/epoll.ts';
import { exitNow } from '../../shared/kernel/libc.ts';
import { pipe2NonBlocking } from '../../shared/kernel/unix-sockets.ts';

export { exitNow };

export interface SocketWatch {
  /** Tells once when there is something to read; to be added again after that. Throws KernelError. */
  add(fd: number): void;
  remove(fd: number): void;
  close(): void;
}

export interface SocketKernel {
  readonly peekDatagram: typeof peekDatagram;
  readonly acceptConnection: typeof acceptConnection;
  readonly kindOfDescriptor: typeof kindOfDescriptor;
  readonly receiveWithDescriptors: typeof receiveWithDescriptors;
  readonly spliceWaiting: typeof spliceWaiting;
  /** One for the process, empty between turns. */
  readonly ownPipe: () => { readonly readFd: number; readonly writeFd: number };
  openWatch(onReady: (fd: number) => void): SocketWatch;
}

let pipe: ReturnType<SocketKernel['ownPipe']> | undefined;

export const socketKernel: SocketKernel = {
  peekDatagram,
  acceptConnection,
  kindOfDescriptor,
  receiveWithDescriptors,
  spliceWaiting,
  ownPipe() {
    pipe ??= pipe2NonBlocking();
    return pipe;
  },
  openWatch,
};

function openWatch(onReady: (fd: number) => void): SocketWatch {
  const poller = openPoller([]);
  let closed = false;
  const run = async (): Promise<void> => {
    while (!closed) for (const fd of await poller.wait(-1)) onReady(fd);
  };
  void run();
  return {
    add: (fd) => poller.watch({ fd, events: EPOLLIN | EPOLLONESHOT }),
    remove: (fd) => poller.unwatch(fd),
    close() {
      closed = true;
      poller.close();
    },
  };
}
