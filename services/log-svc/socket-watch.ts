// The native side of reading containers' sockets, loaded when there is one: which are ready, and what is in them.

import { dropDatagram, peekDatagram } from '../../shared/kernel/datagrams.ts';
import { EPOLLIN, EPOLLONESHOT, openPoller } from '../../shared/kernel/epoll.ts';

export interface SocketWatch {
  /** Tells once when there is something to read; to be added again after that. Throws KernelError. */
  add(fd: number): void;
  remove(fd: number): void;
  close(): void;
}

export interface SocketKernel {
  readonly peekDatagram: typeof peekDatagram;
  readonly dropDatagram: typeof dropDatagram;
  openWatch(onReady: (fd: number) => void): SocketWatch;
}

export const socketKernel: SocketKernel = { peekDatagram, dropDatagram, openWatch };

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
