// Tells systemd that Berth is up, and ever again that it still lives (sd_notify(3)); says nothing where no init wants to know.
import { sendDatagram } from '../../shared/kernel/send-datagram.ts';

export interface InitNotifier {
  up(): void;
  stopping(): void;
  /** Its end takes up to `ms` more, however long the init waits otherwise. */
  extend(ms: number): void;
  close(): void;
}

/** A service that does not come up must not hold up the boot of the machine: it is told to be up, and /health says the rest. */
const UP_AT_LATEST_MS = 20_000;

/** How often to say it, milliseconds: half of what systemd waits; undefined when it does not, or waits for another process. */
export function beatIntervalMs(
  { WATCHDOG_USEC, WATCHDOG_PID }: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  const usec = Number(WATCHDOG_USEC);
  if (!(usec > 0) || (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== pid)) return undefined;
  return usec / 2000;
}

export function createInitNotifier(env: Readonly<Record<string, string | undefined>>, pid: number): InitNotifier {
  const { NOTIFY_SOCKET: socket } = env;
  if (socket === undefined || socket === '') {
    const nothing = (): void => undefined;
    return { up: nothing, stopping: nothing, extend: nothing, close: nothing };
  }
  const tell = (text: string): void => {
    try {
      sendDatagram(socket, text);
    } catch {
      // Nobody listens, or too slowly: the next beat is as good.
    }
  };
  const beatMs = beatIntervalMs(env, pid);
  const beats = beatMs === undefined ? undefined : setInterval(() => tell('WATCHDOG=1'), beatMs);
  let isTold = false;
  const up = (): void => {
    if (!isTold) tell('READY=1\nSTATUS=Up');
    isTold = true;
    clearTimeout(latest);
  };
  const latest = setTimeout(up, UP_AT_LATEST_MS);
  const close = (): void => {
    clearInterval(beats);
    clearTimeout(latest);
  };
  return {
    up,
    stopping: () => tell('STOPPING=1\nSTATUS=Ending'),
    extend: (ms) => tell(`EXTEND_TIMEOUT_USEC=${ms * 1000}`),
    close,
  };
}
