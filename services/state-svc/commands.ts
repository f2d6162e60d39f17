// The commands of the control API: what each means, and when it is refused. One that changes what runs has to wait for no other.
import type { Refusal } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { FACTORY, revisionName } from '../../shared/schema/names.ts';
import type { CommandOp } from '../../shared/schema/steps.ts';
import { type Clock, sleep } from './clock.ts';
import type { stateContract } from './contract.ts';
import type { RebootRequests } from './reboot-request.ts';
import { isGood } from './step-progress.ts';
import type { StepStore } from './step-store.ts';
import type { RunHow } from './update-run.ts';
import type { Updates } from './updates.ts';

type CommandFailure = Refusal<typeof stateContract, 'runCommand'>;

export interface Commands {
  /** Undefined: accepted, also for a service that comes after this one. What comes of it is told in the progress of the step. */
  run(op: CommandOp, payload: string): Promise<CommandFailure | undefined>;
  /** Answers the bytes that it made free. Rejects when the storage cannot be read. */
  collectGarbage(): Promise<number>;
}

export interface CommandContext {
  readonly updates: Updates;
  readonly reboots: RebootRequests;
  readonly steps: StepStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** The revision that runs. */
  current(): string;
  /** Until what ran already is adopted. */
  readonly settled: Promise<void>;
  collectGarbage(): Promise<number>;
}

const RETRY_AFTER_SECONDS = 5;
/** Milliseconds that a reboot or poweroff waits for the adoption of what runs: a start that hangs must not keep the device from its remedy. */
const PATIENCE_MS = 4000;

const UNSUPPORTED: Partial<Readonly<Record<CommandOp, string>>> = {
  ENABLE_SSH: 'this build brings no ssh server; run one in a container',
  DISABLE_SSH: 'this build brings no ssh server',
  GO_REMOTE: 'this build speaks to no remote hub',
  UNCLAIM: 'this build speaks to no remote hub, so nobody has claimed the device',
  UPDATE_METADATA: 'this build speaks to no remote hub; use the endpoints of metadata',
  XCONNECT_GRAPH: 'this build links no services of containers',
  DEFER_REBOOT: 'there is no debug shell whose time could run out',
};

const HOW: Partial<Readonly<Record<CommandOp, RunHow>>> = {
  LOCAL_RUN: { once: false, commit: false },
  LOCAL_RUN_COMMIT: { once: false, commit: true },
  TRY_ONCE: { once: true, commit: false },
};

const GOES_DOWN: readonly CommandOp[] = ['REBOOT_DEVICE', 'POWEROFF_DEVICE'];

interface Accepted {
  readonly doing: string;
  /** For the adoption of what runs. */
  waits: boolean;
}

export function createCommands(context: CommandContext): Commands {
  const { updates, reboots, steps, clock, log, settled } = context;
  /** Between the answer and the update's own word. */
  let accepted: Accepted | undefined;
  let goingDown: { readonly doing: string; readonly refused: Promise<void> } | undefined;

  const start = (doing: string, act: () => Promise<unknown>): undefined => {
    const own: Accepted = { doing, waits: true };
    accepted = own;
    log.info(`the user asked for ${doing}`);
    const begin = async (): Promise<void> => {
      await goingDown?.refused;
      own.waits = false;
      const done = act();
      // From here on it is the update's own word, which ends with it.
      if (updates.busy !== undefined) accepted = undefined;
      await done;
    };
    const work = settled.then(begin).catch((error: unknown) => log.error(`${doing}: ${String(error)}`));
    void work.then(() => {
      if (accepted === own) accepted = undefined;
    });
  };

  /** Nothing comes after it, unless it does not come. */
  const goDown = (doing: string, act: () => Promise<boolean>): undefined => {
    log.info(`the user asked for ${doing}`);
    const go = async (): Promise<void> => {
      await Promise.race([settled, sleep(clock, PATIENCE_MS)]);
      if (await act()) await new Promise(() => undefined);
      goingDown = undefined;
    };
    goingDown = { doing, refused: go() };
  };

  /** What a command is refused for. What waits for the adoption of what runs may wait for ever, and is in no reboot's way. */
  const inTheWay = (op: CommandOp): string | undefined => {
    if (goingDown !== undefined) return goingDown.doing;
    if (!GOES_DOWN.includes(op)) return accepted?.doing ?? updates.busy;
    return accepted?.waits === false ? accepted.doing : updates.begun;
  };

  /** The state of `source` becomes that of revision 0. */
  const makeFactory = async (source: string): Promise<CommandFailure | undefined> => {
    const text = await steps.stateText(source);
    if (text === undefined) return { code: 'NO_SUCH_STEP', name: source };
    if (await steps.has(FACTORY)) await steps.replaceState(FACTORY, text);
    else await steps.put(FACTORY, text, new Map());
    return undefined;
  };

  /** Asked for once it is what it is to be: whoever starts next would run the old one. */
  const factoryFrom = async (payload: string): Promise<CommandFailure | undefined> => {
    const source = payload === '' ? context.current() : payload;
    const missing = await refusedName(source);
    if (missing !== undefined) return missing;
    // What is rolled back to must have been seen to run.
    if (!isGood(await steps.progress(source))) {
      return { code: 'UNSUPPORTED', reason: `revision ${source} was not found to be stable yet; run it first` };
    }
    const failure = source === FACTORY ? undefined : await makeFactory(source);
    if (failure !== undefined) return failure;
    const how: RunHow = { once: false, commit: false };
    await updates.ask(FACTORY, how);
    return start(`making revision ${source} the factory revision`, () => updates.run(FACTORY, how));
  };

  const refusedName = async (name: string): Promise<CommandFailure | undefined> => {
    if (!revisionName.safeParse(name).success) {
      return { code: 'BAD_PAYLOAD', reason: 'the payload must name a revision: a number, a name or locals/<name>' };
    }
    return (await steps.has(name)) ? undefined : { code: 'NO_SUCH_STEP', name };
  };

  const revisionCommand = async (op: CommandOp, payload: string): Promise<CommandFailure | undefined> => {
    if (op === 'MAKE_FACTORY') return factoryFrom(payload);
    const refused = await refusedName(payload);
    if (refused !== undefined) return refused;
    const how = HOW[op];
    if (how === undefined) return start(`the check of revision ${payload}`, () => updates.apply(payload));
    if (how.once && payload === FACTORY) {
      return { code: 'UNSUPPORTED', reason: 'the factory revision cannot be tried once; run it' };
    }
    await updates.ask(payload, how);
    return start(`revision ${payload}`, () => updates.run(payload, how));
  };

  return {
    collectGarbage: context.collectGarbage,
    async run(op, payload) {
      const unsupported = UNSUPPORTED[op];
      if (unsupported !== undefined) return { code: 'UNSUPPORTED', reason: unsupported };
      if (op === 'RUN_GC') {
        settled
          .then(context.collectGarbage)
          .catch((error: unknown) => log.error(`garbage cannot be collected: ${String(error)}`));
        return undefined;
      }
      const doing = inTheWay(op);
      if (doing !== undefined) return { code: 'BUSY', doing, retryAfterSeconds: RETRY_AFTER_SECONDS };
      if (op === 'REBOOT_DEVICE') return goDown('a reboot', () => reboots.carryOut('COMMAND', payload));
      if (op === 'POWEROFF_DEVICE') return goDown('a poweroff', () => reboots.powerOff(payload));
      // Before the first wait: a second command must meet it.
      accepted = { doing: op, waits: false };
      const refused = await revisionCommand(op, payload).catch(
        (error: unknown): CommandFailure => ({ code: 'STORE_FAILED', reason: String(error).slice(0, 500) }),
      );
      if (refused !== undefined) accepted = undefined;
      return refused;
    },
  };
}
