// The process that one service has right now: at most one, on the broker while it lives, and every start is followed by one end.
import type { ProcessEnd, ServiceProcess } from './spawn-service.ts';

export interface ProcessSurroundings {
  spawn(onEnd: (end: ProcessEnd) => void): ServiceProcess;
  connect(child: ServiceProcess): void;
  disconnect(): void;
}

export interface CurrentProcess {
  /** 0 while there is none. */
  readonly pid: number;
  /** False: it could not be, which is told as an end a moment later. */
  start(): boolean;
  kill(): void;
}

export function createCurrentProcess(
  around: ProcessSurroundings,
  onEnd: (end: ProcessEnd, lastWords: string) => void,
): CurrentProcess {
  let child: ServiceProcess | undefined;
  const ended = (end: ProcessEnd, lastWords: string): void => {
    around.disconnect();
    child = undefined;
    onEnd(end, lastWords);
  };
  return {
    get pid() {
      return child?.pid ?? 0;
    },
    start() {
      try {
        const started: ServiceProcess = around.spawn((end) => {
          if (child === started) ended(end, started.lastWords());
        });
        child = started;
        around.connect(started);
        return true;
      } catch (error) {
        // No process, no memory, no descriptors left: as bad as a service that ends at once, and no worse.
        setImmediate(() => ended({ code: null, signal: null }, String(error)));
        return false;
      }
    },
    kill: () => child?.kill(),
  };
}
