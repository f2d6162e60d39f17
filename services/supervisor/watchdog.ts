// The hardware watchdog of the machine: opened, fed and closed as watchdog-plan.ts says, and tried again where it cannot be had.
import { existsSync } from 'node:fs';
import type { Settings } from '../../shared/config/settings.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { openWatchdog, type WatchdogDevice } from '../../shared/kernel/watchdog-device.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Counted } from './reboot-count.ts';
import type { RebootCause } from './reboot-policy.ts';
import {
  type DownSince,
  feedIntervalMs,
  look,
  lostService,
  step,
  type Vital,
  type WatchdogEffect,
  type WatchdogEvent,
  type WatchdogState,
} from './watchdog-plan.ts';

export interface Watchdog {
  started(): void;
  up(): void;
  /** By a reboot, a poweroff, or the will of its init. */
  machineEnds(): void;
  /** Nothing of the tree is left that could feed it. */
  ended(): void;
  health(): readonly HealthReason[];
}

export interface WatchdogSurroundings {
  readonly settings: Settings;
  readonly mode: 'embedded' | 'appengine';
  readonly log: Logger;
  vitals(): readonly Vital[];
  /** Unless it is counted the machine is to stay up. */
  countReset(cause: RebootCause): Counted;
  /** Of a monotonic clock. */
  nowMs(): number;
}

const RETRY_MS = 1_000;

/** What to look at where the device cannot be had. Raspberry Pi OS, for one, has systemd take it. */
export function wayOut(error: unknown, isSystemd: boolean): string {
  const isHeld = error instanceof Error && 'code' in error && error.code === 'EBUSY';
  if (!isHeld) return 'is its driver loaded?';
  if (!isSystemd) return 'does another program hold it?';
  return 'systemd holds it where it has RuntimeWatchdogSec: have it 0 by a file in /etc/systemd/system.conf.d, and systemctl daemon-reexec';
}

export function createWatchdog({ settings, mode, log, vitals, countReset, nowMs }: WatchdogSurroundings): Watchdog {
  const wanted = settings.value('PV_WDT_MODE');
  const path = settings.value('BERTH_WATCHDOG');
  const timeoutSeconds = settings.value('PV_WDT_TIMEOUT');
  let state: WatchdogState = 'closed';
  let device: WatchdogDevice | undefined;
  let problem: string | undefined;
  let triedMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let down: DownSince = new Map();
  /** The service for which a reset was counted, or refused, already. */
  let judged: string | undefined;
  let mayReset = true;

  /** It may be had again, and is opened once at a time (EBUSY): until then its time runs on. */
  const giveBack = (): void => {
    const lost = device;
    device = undefined;
    try {
      lost?.close(false);
    } catch {
      // close(2) has let it go, whatever it says.
    }
  };

  const lose = (error: unknown, what: string): void => {
    giveBack();
    const reason = reasonOf(error);
    const way = wayOut(error, existsSync('/run/systemd/system'));
    const told = `${what} ${path} (${reason}): the machine is not guarded; ${way}`;
    if (problem !== told) log.error(told);
    problem = told;
  };

  const open = (): void => {
    triedMs = nowMs();
    try {
      device = openWatchdog(path, timeoutSeconds);
      // One that takes nothing is there and guards nobody.
      device.feed();
      problem = undefined;
      const { refusal, timeoutSeconds: actual } = device;
      if (refusal !== undefined) log.warn(`${path} does not take PV_WDT_TIMEOUT: ${refusal.message}`);
      log.info(`${path} guards the machine, ${actual ?? timeoutSeconds} s`);
      clearInterval(timer);
      timer = setInterval(tick, feedIntervalMs(actual ?? timeoutSeconds));
    } catch (error) {
      lose(error, device === undefined ? 'cannot open' : 'cannot feed');
      timer ??= setInterval(tick, RETRY_MS);
    }
  };

  const feed = (): void => {
    if (device === undefined && nowMs() - triedMs >= RETRY_MS) open();
    try {
      device?.feed();
    } catch (error) {
      lose(error, 'cannot feed');
    }
  };

  const close = (): void => {
    clearInterval(timer);
    timer = undefined;
    const guarding = device;
    device = undefined;
    try {
      guarding?.close(true);
      if (guarding !== undefined) log.info(`${path} no longer guards the machine`);
    } catch (error) {
      lose(error, 'cannot close');
    }
    problem = undefined;
  };

  const effects: Readonly<Record<WatchdogEffect, () => void>> = { open, feed, close };

  const handle = (event: WatchdogEvent): void => {
    const next = step(wanted, state, event);
    state = next.state;
    if (next.effect !== undefined) effects[next.effect]();
    if (state === 'handed') clearInterval(timer);
  };

  /** A reset is counted like a reboot, before it comes: one that does not help must not follow itself for ever. */
  const isResetDue = (now: number): boolean => {
    down = look(vitals(), down, now);
    const lost = lostService(down, now);
    if (lost === undefined) judged = undefined;
    else if (lost !== judged) {
      const message = `${lost} does not come back, so ${path} is not fed`;
      const { kind } = countReset({ code: 'WATCHDOG', message });
      mayReset = kind === 'counted';
      if (mayReset && state === 'guarding') log.error(`${message}: the machine will be reset`);
      // The disk may take it by the next look.
      judged = kind === 'uncounted' ? undefined : lost;
    }
    return lost !== undefined && mayReset;
  };

  function tick(): void {
    handle(isResetDue(nowMs()) ? 'unsound' : 'sound');
  }

  return {
    started() {
      if (wanted === 'disabled') return;
      if (mode === 'embedded') handle('started');
      else log.warn(`PV_WDT_MODE ${wanted} is for --mode embedded: as a guest Berth does not guard the machine`);
    },
    up: () => handle('up'),
    machineEnds() {
      if (mode === 'embedded') handle('machineEnds');
    },
    ended: () => handle('ended'),
    health: () =>
      problem === undefined
        ? []
        : [{ code: 'WATCHDOG_UNAVAILABLE', subject: path.slice(0, 100), message: problem.slice(0, 500) }],
  };
}
