// The kernel's log for log-svc, which may not open it: with it, its place in the log survives that service.
import { constants, openSync } from 'node:fs';

/** Undefined, with a word on why: there is none, or it may not be read. */
export function openKernelLog(onRefused: (reason: string) => void): number | undefined {
  try {
    return openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    onRefused(`PV_LOG_CAPTURE_DMESG is set, but the kernel's log cannot be read: ${String(error)}`);
    return undefined;
  }
}
