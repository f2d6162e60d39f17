// What state-svc has for the revisions that it runs, whichever they are.
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { ReadMeta } from '../../shared/revision/driver-modules.ts';
import type { BootStore } from './boot-store.ts';
import type { Clock } from './clock.ts';
import type { IntentStore } from './intent-store.ts';
import type { LeaseHoldStore } from './lease-hold-store.ts';
import type { MetadataViews } from './metadata-views.ts';
import type { RevisionStore } from './revision-store.ts';
import type { StepStore } from './step-store.ts';
import type { TrialLimits } from './trial.ts';

export interface RunnerContext {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: RevisionStore;
  readonly intents: IntentStore;
  /** For the options of drivers. */
  readonly meta: ReadMeta;
  readonly leaseHolds: LeaseHoldStore;
  /** What containers see of the metadata. */
  readonly views: MetadataViews;
  /** How long a container may be in no revision before its addresses are given back. */
  readonly leaseHoldMs: number;
  /** Starts under way at a time within the revision. */
  readonly startLimit: number;
  readonly bootStore: BootStore;
  readonly steps: StepStore;
  /** How long a revision is tried. */
  readonly trial: TrialLimits;
  /** Of the tree: services of one life have restarted, the tree has not. */
  readonly life: string;
  /** For certain: nobody needs to be asked. */
  readonly nothingRuns: boolean;
}
