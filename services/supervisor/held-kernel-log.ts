// The kernel's log for log-svc, which may not open it.
import { closeSync, constants, openSync } from 'node:fs';

export interface HeldKernelLog {
  /**
   * For a log-svc that is being started; the one before it has ended. From the oldest record that the kernel has: which ones are in
   * the log already only that service knows, and a place that went on with what a killed one had read would lose that.
   */
  open(): number;
  close(): void;
}

/** Undefined, with a word on why: there is none, or it may not be read. */
export function holdKernelLog(onRefused: (reason: string) => void): HeldKernelLog | undefined {
  const openAnew = (): number => openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  let fd: number;
  try {
    fd = openAnew();
  } catch (error) {
    onRefused(`PV_LOG_CAPTURE_DMESG is set, but the kernel's log cannot be read: ${String(error)}`);
    return undefined;
  }
  return {
    open() {
      const before = fd;
      fd = openAnew();
      closeSync(before);
      return fd;
    },
    close: () => closeSync(fd),
  };
}
