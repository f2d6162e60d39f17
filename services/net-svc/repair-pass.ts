// One pass: what is gone of the host's side and of containers is brought back. In: what was heard of, and whose turn it is; out: what was
// repaired and what could not be, and of whom.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { attach } from './attachments.ts';
import type { DesiredState } from './desired-state.ts';
import { listedView, withHost } from './host-links.ts';
import type { HostNetwork } from './host-network.ts';
import type { KernelArea } from './kernel-watch.ts';
import { NetFailure } from './net-failure.ts';
import type { Namespaces } from './netns.ts';
import type { SenderGuard } from './sender-guard.ts';

export interface PassContext {
  readonly namespaces: Namespaces;
  readonly host: HostNetwork;
  readonly desired: Pick<DesiredState, 'attachments' | 'isMacvlan'>;
  readonly senders: SenderGuard;
}

export interface Finding<T> {
  /** Whose; undefined: the host's. */
  readonly container: string | undefined;
  readonly what: T;
}

export interface Findings {
  readonly repaired: readonly Finding<string>[];
  readonly failures: readonly Finding<NetFailure>[];
}

/** Whether the container is compared in this pass; asked of all. `isHeard`: what was heard may be its. */
export type TakesTurn = (container: string, isHeard: boolean) => boolean;

/** What fails does not keep the rest from being repaired. */
export async function repairOnce(
  context: PassContext,
  areas: ReadonlySet<KernelArea>,
  takesTurn: TakesTurn = (_, isHeard) => isHeard,
): Promise<Findings> {
  const repaired: Finding<string>[] = [];
  const failures: Finding<NetFailure>[] = [];
  const notes: Notes = {
    fail(error, container) {
      if (!(error instanceof NetFailure)) throw error;
      failures.push({ container, what: error });
    },
    record: (step, container) => void repaired.push({ container, what: step }),
  };
  const fail = (error: unknown): void => notes.fail(error);
  const record = (step: string): void => notes.record(step);
  // Links first: the pairs of containers hang on the bridges.
  await context.host.repair(only(areas, 'links'), record).catch(fail);
  const rules = context.host.repair(only(areas, 'rules'), record).catch(fail);
  // They are compared by programs, which are started then and run while the containers are compared here.
  await nextTurn();
  try {
    repairAttachments(context, areas, takesTurn, notes);
  } catch (error) {
    fail(error);
  }
  await rules;
  if (areas.has('rules')) await context.senders.ensure(record);
  return { repaired, failures };
}

interface Notes {
  /** Throws what is no NetFailure. */
  fail(error: unknown, container?: string): void;
  record(step: string, container?: string): void;
}

function only(areas: ReadonlySet<KernelArea>, area: KernelArea): ReadonlySet<KernelArea> {
  return new Set(areas.has(area) ? [area] : []);
}

function repairAttachments(
  { namespaces, desired }: PassContext,
  areas: ReadonlySet<KernelArea>,
  takesTurn: TakesTurn,
  { fail, record }: Notes,
): void {
  // Every mount of the machine is told, and of those only the files of namespaces concern us.
  const isHeard = (container: string): boolean =>
    areas.has('links') || (areas.has('mounts') && !namespaces.isHeld(container));
  const due = [...desired.attachments].filter(([container]) => takesTurn(container, isHeard(container)));
  if (due.length === 0) return;
  withHost((host) => {
    const view = listedView(host);
    const mode = {
      strictness: 'enough',
      mayCreateNamespace: false,
      wasAttached: true,
      view,
      isMacvlan: desired.isMacvlan,
    } as const;
    for (const [container, leases] of due) {
      try {
        attach(namespaces, container, leases, { ...mode, record: (step) => record(step, container) });
      } catch (error) {
        fail(error, container);
      }
    }
  });
}
