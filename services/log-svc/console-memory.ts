// The memory in which consoles wait for us: a tmpfs of lxc-svc's that has a bound, and is ours to give back.
import { closeSync, constants, openSync, statfsSync } from 'node:fs';

export interface ConsoleMemory {
  /** What a container says now is lost. */
  isUsedUp(): boolean;
  /** What the file has between these offsets is not needed any more. False: not now. Throws where it cannot be. */
  free(fd: number, from: number, to: number): boolean;
}

type PunchHole = (fd: number, from: number, to: number) => void;

/** `loadPunch`: native code, which is loaded when there is something to free. */
export function createConsoleMemory(folder: string, loadPunch: () => Promise<PunchHole>): ConsoleMemory {
  let punch: PunchHole | undefined;
  let isLoading = false;
  const load = async (): Promise<void> => {
    punch = await loadPunch().catch((error: unknown) => () => {
      throw error;
    });
  };
  return {
    isUsedUp() {
      try {
        return statfsSync(folder).bfree === 0;
      } catch {
        return false;
      }
    },
    free(fd, from, to) {
      if (punch === undefined) {
        if (!isLoading) void load();
        isLoading = true;
        return false;
      }
      // It is read through a descriptor that cannot write.
      const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY);
      try {
        punch(own, from, to);
      } finally {
        closeSync(own);
      }
      return true;
    },
  };
}
