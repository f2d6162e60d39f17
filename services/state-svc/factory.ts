// Revision 0, the factory revision, and its replacement by the state of another one. Nobody may have seen that run yet, and revision 0 may
// be what is rolled back to: what it was is kept beside it until the new one is found good, and comes back otherwise.
//   <storage>/trails/0/.pvr/json          the state
//   <storage>/trails/0/.pvr/json.before   what it was, while `factoryReplaced` of the boot state says that it is to come back
import type { Logger } from '../../shared/log/logger.ts';
import type { BootLog } from './boot-log.ts';
import { FACTORY } from './boot-state.ts';
import type { RevisionStore } from './revision-store.ts';
import type { StepStore } from './step-store.ts';
import { readCandidate } from './verify-revision.ts';

export interface Factory {
  /** While no update is under way. Rejects when the disk does not take it; then revision 0 is what it was. */
  replace(text: string): Promise<void>;
  /** It did not make it: what it was is there again, so that it can be gone back to. Never rejects. */
  giveUp(): Promise<void>;
  /** Whenever it may be that nothing tries it any more, or it was found good. Never rejects. */
  settle(): Promise<void>;
}

export interface FactoryContext {
  readonly steps: StepStore;
  readonly store: RevisionStore;
  readonly bootLog: BootLog;
  readonly log: Logger;
}

export function createFactory({ steps, store, bootLog, log }: FactoryContext): Factory {
  const { boot } = bootLog;

  const putBack = async (): Promise<void> => {
    await steps.restoreState(FACTORY);
    const { revision } = await readCandidate(store, FACTORY);
    // Its containers may run, and be mounted again from these links at any time.
    const problems = revision === undefined ? [] : await store.checkOut(FACTORY, revision.objects);
    for (const { path, message } of problems) log.error(`revision ${FACTORY}: ${path}: ${message}`);
  };

  const tolerant = (what: Promise<void>): Promise<boolean> =>
    what.then(
      () => true,
      (error: unknown) => {
        log.error(`the factory revision of before cannot be put back: ${String(error)}`);
        return false;
      },
    );

  const factory: Factory = {
    async replace(text) {
      if (!(await steps.has(FACTORY))) return void (await steps.put(FACTORY, text, new Map()));
      // Of an attempt whose reboot did not come: what is kept is the one before that.
      await factory.settle();
      await steps.keepState(FACTORY);
      // Before its state is another one: whoever starts next knows that it may have to come back.
      await bootLog.advance({ kind: 'factoryReplaced' });
      try {
        await steps.replaceState(FACTORY, text);
      } catch (error) {
        await factory.settle();
        throw error;
      }
    },
    async giveUp() {
      if (boot().factoryReplaced === true) await tolerant(putBack());
    },
    async settle() {
      const { factoryReplaced, trying, asked } = boot();
      if (trying?.revision === FACTORY || asked?.revision === FACTORY) return;
      if (factoryReplaced !== true) return void (await tolerant(steps.forgetState(FACTORY)));
      if (await tolerant(putBack())) await bootLog.advanceAnyway({ kind: 'factorySettled' });
    },
  };
  return factory;
}
