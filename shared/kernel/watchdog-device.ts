// A hardware watchdog (Documentation/watchdog/watchdog-api.rst): a device that resets the machine unless it is written to in time.
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { kernelError } from './libc.ts';

const cIoctl: (fd: number, request: number, ...value: unknown[]) => number = koffi
  .load(null)
  .func('int ioctl(int fd, unsigned long request, ...)');

/** linux/watchdog.h: _IOWR('W', 6, int) and _IOR('W', 7, int), where they have the same numbers: x86, arm, riscv. */
const WDIOC_SETTIMEOUT = 0xc0045706;
const WDIOC_GETTIMEOUT = 0x80045707;

export interface WatchdogDevice {
  /** Throws when the driver takes nothing any more. */
  feed(): void;
  /** What the driver does, seconds; undefined: it does not say. It may be less than what was asked for. */
  readonly timeoutSeconds: number | undefined;
  /** Why it did not take the timeout that was asked for. */
  readonly refusal: Error | undefined;
  /** `disarm`: the machine is no longer to be reset, unless the driver was told never to stop (nowayout). */
  close(disarm: boolean): void;
}

/** From here on the machine is guarded. `timeoutSeconds` 0: the driver's own. Closes on exec. Throws what open(2) says. */
export function openWatchdog(path: string, timeoutSeconds: number): WatchdogDevice {
  // Never made when it is not there; appended to, so that a file that stands in for it shows all that was written.
  const fd = openSync(path, constants.O_WRONLY | constants.O_APPEND);
  let refusal: Error | undefined;
  const value = new Int32Array([timeoutSeconds]);
  if (timeoutSeconds > 0 && cIoctl(fd, WDIOC_SETTIMEOUT, 'void *', value) < 0) {
    refusal = kernelError(koffi.errno(), 'WDIOC_SETTIMEOUT', `${timeoutSeconds} s`);
  }
  const known = cIoctl(fd, WDIOC_GETTIMEOUT, 'void *', value) === 0;
  const feed = (): void => {
    writeSync(fd, '\0');
  };
  return {
    feed,
    timeoutSeconds: known ? value[0] : undefined,
    refusal,
    close(disarm) {
      try {
        // The magic character: what is closed without it goes on.
        if (disarm) writeSync(fd, 'V');
      } finally {
        closeSync(fd);
      }
    },
  };
}
