// What all ways of an update share: what is written down and told of it, what this service is busy with, and the way out by a reboot.
import type { Logger } from '../../shared/log/logger.ts';
import { FACTORY } from '../../shared/schema/names.ts';
import type { Reservation } from '../../shared/schema/network.ts';
import type { StepProgress } from '../../shared/schema/steps.ts';
import { type BootLog, createBootLog } from './boot-log.ts';
import { type BootState, type Carried, neededBy } from './boot-state.ts';
import type { BootStore } from './boot-store.ts';
import type { Clock } from './clock.ts';
import { type Known, knownOf, reservationsFor } from './known-revisions.ts';
import type { LogTail } from './log-tail.ts';
import type { RebootRequests } from './reboot-request.ts';
import type { RevisionStore } from './revision-store.ts';
import type { Stage } from './stage.ts';
import type { StepStore } from './step-store.ts';
import type { Transition } from './transition.ts';
import type { TrialLimits } from './trial.ts';
import type { UpdateHooks } from './update-hooks.ts';
import { createUpdateProgress, type UpdateProgress } from './update-progress.ts';
import { carriedOver } from './update-transition.ts';
import type { Candidate } from './verify-revision.ts';

export interface UpdateContext {
  readonly clock: Clock;
  readonly tail: LogTail;
  readonly store: RevisionStore;
  readonly bootStore: BootStore;
  /** What it had on disk; undefined: that could not be read. */
  readonly loaded: BootState | undefined;
  readonly steps: StepStore;
  readonly reboots: RebootRequests;
  readonly limits: TrialLimits;
  /** Of the tree: services of one life have restarted, the tree has not. */
  readonly life: string;
  stage(): Stage;
  hooks(boot: () => BootState): UpdateHooks;
  publish(revision: string, progress: StepProgress): void;
  /** What all revisions have that may run from now on. */
  onKnown(known: Known): void;
}

export interface UpdateBooks {
  readonly log: Logger;
  readonly bootLog: BootLog;
  readonly progress: UpdateProgress;
  readonly hooks: UpdateHooks;
  /** A trial is under way, or a reboot for one. */
  busy: string | undefined;
  /** Nothing comes of this revision, which is told, while it is still written that it was asked for. */
  refused: string | undefined;
  /** This service ends: nothing new happens. */
  isClosed: boolean;
  /** Resolves when what a service before this one left half told is told. */
  tidied: Promise<void>;
  /** Addresses that stay reserved for the rollback point while this runs. */
  heldBeside(running: Candidate): Promise<readonly Reservation[]>;
  carriedBy(transition: Transition): Carried;
  /** Never rejects: it is told again with the next revision, and what runs is not given up for it. */
  tellKnown(): Promise<void>;
  /** False: the reboot does not come, nor what was to come with it. `counted`: it is not the first for that. */
  leave(code: string, message: string, counted?: boolean): Promise<boolean>;
}

export function openUpdateBooks(context: UpdateContext): UpdateBooks {
  const { tail, store, steps, publish } = context;
  const { log } = tail;
  // Before anything is decided it is what nothing may be removed of.
  const bootLog = createBootLog(context.bootStore, context.loaded ?? { revision: FACTORY }, log);
  const { boot } = bootLog;
  const books: UpdateBooks = {
    log,
    bootLog,
    hooks: context.hooks(boot),
    progress: createUpdateProgress({ steps, tail, publish }),
    busy: undefined,
    refused: undefined,
    isClosed: false,
    tidied: Promise.resolve(),
    heldBeside: (running) => reservationsFor(running, boot().revision, store),
    carriedBy: (transition) => carriedOver(transition, context.stage().current, boot().carried ?? {}),
    async tellKnown() {
      const { current } = context.stage();
      try {
        const known = await knownOf(current, neededBy(boot()), store);
        // Who has changed what runs meanwhile tells it, too.
        if (!books.isClosed && context.stage().current === current) context.onKnown(known);
      } catch (error) {
        log.error(`containers of the revisions that may run are not known: ${String(error)}`);
      }
    },
    async leave(code, message, counted) {
      books.busy = 'rebooting';
      const comes = await context.reboots.carryOut(code, message, counted);
      if (!comes) books.busy = undefined;
      return comes;
    },
  };
  return books;
}
