// One case of the crash matrix: who is struck, how, and when in which phase, drawn from a seed. The same seed and number make the same case.
import type { ServiceName } from '../../shared/ipc/contract.ts';
import { type Dice, dice } from '../../test/kit/dice.ts';

export const PHASES = [
  'quiet',
  'start',
  'stop',
  'restart',
  'take-over',
  'cold boot',
  'leave',
  'end',
  'update',
  'update by reboot',
  'log flood',
  'upload',
] as const;
export type Phase = (typeof PHASES)[number];

export const VICTIMS: readonly [ServiceName, ...ServiceName[]] = [
  'supervisor',
  'log-svc',
  'ctl-svc',
  'ipam-svc',
  'net-svc',
  'lxc-svc',
  'state-svc',
];
const SIGNALS = ['SIGKILL', 'SIGSTOP'] as const;

export interface Strike {
  readonly victim: ServiceName;
  readonly signal: (typeof SIGNALS)[number];
}

export interface CrashCase {
  readonly number: number;
  readonly phase: Phase;
  /** When, as a part of what the phase takes when nobody is struck; in [0, 1). */
  readonly point: number;
  /** One, or two different ones. */
  readonly strikes: readonly [Strike, ...Strike[]];
  /** Between the two. */
  readonly gapMs: number;
  /** A supervisor that was stopped is watched by nobody here: it goes on after this, or is killed, as a hardware watchdog would. */
  readonly hold: { readonly ms: number; readonly end: 'SIGCONT' | 'SIGKILL' };
}

/** Every victim with every signal in every phase. */
const SINGLES = VICTIMS.flatMap((victim) =>
  SIGNALS.flatMap((signal) => PHASES.map((phase) => ({ phase, strikes: [{ victim, signal }] as const }))),
);
const PAIRS = 32;
/** After as many cases each of SINGLES was there once; with the next ones it is there again, at another point. */
export const ROUND = SINGLES.length + PAIRS;
/** Multiples of it, without their whole part, are spread evenly however many there are (Weyl). */
const GOLDEN = (Math.sqrt(5) - 1) / 2;
const MAX_GAP_MS = 300;
const MAX_HOLD_MS = 3_000;

export function crashCase(seed: number, number: number): CrashCase {
  const round = Math.floor(number / ROUND);
  const cell = shuffled(ROUND, dice(mixed(seed, -1 - round)))[number % ROUND] ?? 0;
  const chance = dice(mixed(seed, number));
  const drawn = SINGLES[cell] ?? pair(chance);
  return {
    number,
    ...drawn,
    point: (dice(mixed(seed, cell)).draw() + round * GOLDEN) % 1,
    gapMs: drawn.strikes.length > 1 ? chance.below(MAX_GAP_MS) : 0,
    hold: { ms: chance.below(MAX_HOLD_MS), end: chance.pick(['SIGCONT', 'SIGKILL']) },
  };
}

export function titleOf({ number, phase, point, strikes, gapMs, hold }: CrashCase): string {
  const stopsSupervisor = strikes.some(({ victim, signal }) => victim === 'supervisor' && signal === 'SIGSTOP');
  const who = strikes.map(({ victim, signal }) => `${signal} of ${victim}`).join(` and, ${gapMs} ms later, `);
  const then = stopsSupervisor ? `, ${hold.end} after ${hold.ms} ms` : '';
  return `${number}: ${who} at ${Math.round(point * 100)} % of ${phase}${then}`;
}

function pair(chance: Dice): Pick<CrashCase, 'phase' | 'strikes'> {
  const first = chance.pick(VICTIMS);
  const others = VICTIMS.filter((victim) => victim !== first);
  const second = others[chance.below(others.length)] ?? first;
  const strike = (victim: ServiceName): Strike => ({ victim, signal: chance.draw() < 0.75 ? 'SIGKILL' : 'SIGSTOP' });
  return { phase: chance.pick(PHASES), strikes: [strike(first), strike(second)] };
}

/** Seeds that are near each other are no problem for the mixing of dice(). */
const mixed = (seed: number, number: number): number => Math.imul(seed, 0x9e3779b1) + Math.imul(number, 0x85ebca6b);

/** 0 to length - 1 in a drawn order (Fisher and Yates). */
function shuffled(length: number, chance: Dice): readonly number[] {
  const order = Array.from({ length }, (_, index) => index);
  for (let left = length - 1; left > 0; left -= 1) {
    const other = chance.below(left + 1);
    const [here = 0, there = 0] = [order[left], order[other]];
    order[left] = there;
    order[other] = here;
  }
  return order;
}
