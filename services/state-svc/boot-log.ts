// Which revision runs, as it stands: one event after the other, each on disk before anybody acts on it.
import { whyUnwritten } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { createTurn } from '../../shared/time/in-turn.ts';
import { type BootEvent, type BootState, type BootStep, bootStep } from './boot-state.ts';
import type { BootStore } from './boot-store.ts';

export interface BootLog {
  boot(): BootState;
  /** What was read, or what holds where nothing can be written. */
  adopt(state: BootState): void;
  /** Rejects when it cannot be written down; then nothing has happened. */
  advance(event: BootEvent): Promise<BootStep>;
  /** For what holds also when the disk does not take it: another cut of the power leads to the same. */
  advanceAnyway(event: BootEvent): Promise<void>;
  /** Writes what the disk has not taken yet. Rejects when it does not take it now, either. */
  flush(): Promise<void>;
  /** Why the disk has not taken the last that was to be written, and the way out; undefined: it has. */
  unwritten(): string | undefined;
  /** Resolves when what was asked for until now is written, or cannot be: until then `boot` may be behind the disk. */
  written(): Promise<void>;
  /** The next start goes by what was written until now. Resolves when what was under way is written. */
  close(): Promise<void>;
}

export function createBootLog(store: BootStore, initial: BootState, log: Logger): BootLog {
  let boot = initial;
  const inTurn = createTurn();
  let isClosed = false;
  let unwritten: string | undefined;

  const save = async (state: BootState): Promise<void> => {
    try {
      await store.save(state);
      unwritten = undefined;
    } catch (error) {
      unwritten = whyUnwritten(error);
      throw error;
    }
  };

  const advance = (event: BootEvent): Promise<BootStep> =>
    inTurn(async () => {
      if (isClosed) throw new Error('state-svc ends');
      const next = bootStep(boot, event);
      const isNews = JSON.stringify(next.state) !== JSON.stringify(boot);
      if (isNews || unwritten !== undefined) await save(next.state);
      boot = next.state;
      return next;
    });
  const written = (): Promise<void> => inTurn(async () => undefined);

  return {
    boot: () => boot,
    adopt(state) {
      boot = state;
    },
    advance,
    async advanceAnyway(event) {
      await advance(event).catch((error: unknown) => {
        log.error(`which revision runs cannot be written down: ${String(error)}`);
        boot = bootStep(boot, event).state;
      });
    },
    flush: () => inTurn(() => (isClosed || unwritten === undefined ? Promise.resolve() : save(boot))),
    unwritten: () => unwritten,
    written,
    close() {
      isClosed = true;
      return written();
    },
  };
}
