// Waiting for many descriptors at once while the event loop goes on: epoll(7) on one thread of libuv's pool, which holds
// 0.5 MB where a worker of Node's would hold 10. For descriptors that Node itself takes no readiness from: netlink, mountinfo.
import { Buffer } from 'node:buffer';
import { closeSync, readSync, writeSync } from 'node:fs';
import process from 'node:process';
import koffi from 'koffi';
import { kernelError, pipe2 } from './libc.ts';

const libc = koffi.load(null);
const cCreate: (flags: number) => number = libc.func('int epoll_create1(int flags)');
const cControl: (epollFd: number, operation: number, fd: number, event: Uint8Array) => number = libc.func(
  'int epoll_ctl(int epollFd, int operation, int fd, void *event)',
);
const cWait: {
  async(
    epollFd: number,
    events: Uint8Array,
    maxEvents: number,
    timeoutMs: number,
    done: (error: Error | null, count: number) => void,
  ): void;
} = libc.func('int epoll_wait(int epollFd, void *events, int maxEvents, int timeoutMs)');

/** sys/epoll.h, fcntl.h */
export const EPOLLIN = 1;
export const EPOLLPRI = 2;
/** Told once; then it has to be watched again. */
export const EPOLLONESHOT = 1 << 30;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EEXIST = 17;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
/** struct epoll_event is packed on x86 only (sys/epoll.h). */
const PACKED = process.arch === 'x64' || process.arch === 'ia32';
const EVENT_BYTES = PACKED ? 12 : 16;
const DATA_OFFSET = PACKED ? 4 : 8;
const MAX_EVENTS = 16;

export interface Watched {
  readonly fd: number;
  /** EPOLLIN, EPOLLPRI, with or without EPOLLONESHOT. Errors are always told. */
  readonly events: number;
}

export interface Poller {
  /** The descriptors that are ready; none after `timeoutMs` (-1: never) or `close`. One wait at a time. */
  wait(timeoutMs: number): Promise<readonly number[]>;
  /** One more, or one of them anew; also during a wait. Throws KernelError (EPERM: what it is cannot be waited for). */
  watch(watched: Watched): void;
  /** To be called before the descriptor is closed. Not watched: a no-op. */
  unwatch(fd: number): void;
  /** Ends a wait. The watched descriptors stay open: they are the caller's, to be closed when the wait has ended. */
  close(): void;
}

/** Throws KernelError. */
export function openPoller(watched: readonly Watched[]): Poller {
  const { readFd, writeFd } = pipe2(O_NONBLOCK | O_CLOEXEC);
  const epollFd = cCreate(O_CLOEXEC);
  if (epollFd < 0) throw kernelError(koffi.errno(), 'epoll_create1');
  const own = [epollFd, readFd, writeFd];
  const events = Buffer.alloc(EVENT_BYTES * MAX_EVENTS);
  let closed = false;
  let waiting = false;
  const watch = ({ fd, events: wanted }: Watched): void => {
    const event = Buffer.alloc(EVENT_BYTES);
    event.writeUInt32LE(wanted, 0);
    event.writeUInt32LE(fd, DATA_OFFSET);
    if (cControl(epollFd, EPOLL_CTL_ADD, fd, event) >= 0) return;
    if (koffi.errno() === EEXIST && cControl(epollFd, EPOLL_CTL_MOD, fd, event) >= 0) return;
    throw kernelError(koffi.errno(), 'epoll_ctl', `descriptor ${fd}`);
  };
  try {
    for (const each of [...watched, { fd: readFd, events: EPOLLIN }]) watch(each);
  } catch (error) {
    for (const fd of own) closeSync(fd);
    throw error;
  }
  const wake = (): void => {
    writeSync(writeFd, 'w');
  };
  // libuv joins its threads at exit: one that waits would keep a process that wants to end.
  process.once('exit', wake);

  const release = (): void => {
    process.off('exit', wake);
    for (const fd of own) closeSync(fd);
  };

  return {
    wait: (timeoutMs) =>
      new Promise((resolve, reject) => {
        if (closed) return resolve([]);
        waiting = true;
        cWait.async(epollFd, events, MAX_EVENTS, timeoutMs, (error, count) => {
          waiting = false;
          const ready = Array.from({ length: Math.max(0, count) }, (_, index) =>
            events.readUInt32LE(index * EVENT_BYTES + DATA_OFFSET),
          );
          if (ready.includes(readFd)) readSync(readFd, Buffer.alloc(1));
          if (closed) release();
          if (error !== null) reject(error);
          // A negative count is EINTR: nobody is ready.
          else resolve(closed ? [] : ready.filter((fd) => fd !== readFd));
        });
      }),
    watch,
    unwatch(fd) {
      cControl(epollFd, EPOLL_CTL_DEL, fd, events);
    },
    close() {
      if (closed) return;
      closed = true;
      if (waiting) wake();
      else release();
    },
  };
}
