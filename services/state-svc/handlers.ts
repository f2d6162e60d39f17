// What ctl-svc may ask: one short function per request.
import { type CallContext, fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { indexAfter, pageFrom } from '../../shared/ipc/page.ts';
import { type Clock, sleep } from './clock.ts';
import type { Commands } from './commands.ts';
import type { stateContract } from './contract.ts';
import { driverHandlers } from './driver-handlers.ts';
import type { GarbageCollector } from './garbage-collector.ts';
import { leaseHandlers } from './lease-handlers.ts';
import type { LiveSettings } from './live-settings.ts';
import type { Metadata } from './metadata.ts';
import { metadataHandlers } from './metadata-handlers.ts';
import type { Peers } from './peers.ts';
import type { RevisionRunner } from './revision-runner.ts';
import type { StepDesk } from './step-desk.ts';
import { createStepHandlers } from './step-handlers.ts';

/** Milliseconds that a request waits for the adoption of what runs already where it cannot be answered without; below its deadline (5 s). */
const PATIENCE_MS = 4000;

const nameOf = ({ name }: { readonly name: string }): string => name;

export interface HandlersContext {
  readonly runner: RevisionRunner;
  readonly desk: StepDesk;
  readonly garbage: Pick<GarbageCollector, 'health'>;
  readonly metadata: Metadata;
  readonly settings: LiveSettings;
  readonly commands: Commands;
  readonly ipam: Peers['ipam'];
  readonly clock: Clock;
}

export function createHandlers({
  runner,
  desk,
  garbage,
  metadata,
  settings,
  commands,
  ipam,
  clock,
}: HandlersContext): Handlers<typeof stateContract> {
  /** Until what is there can be told. */
  const shown = async (context: CallContext): Promise<void> => {
    await runner.decided.wait(context);
    await runner.adopted.wait(context);
  };
  const adoption = (): Promise<void> => Promise.race([runner.settled, sleep(clock, PATIENCE_MS)]);
  /** Until what is there can be changed. */
  const settled = async (context: CallContext): Promise<void> => {
    await runner.decided.wait(context);
    await adoption();
  };
  return {
    async listContainers({ after }, context) {
      await shown(context);
      const all = runner.containers();
      const { rows, next } = pageFrom(all, indexAfter(all, after, nameOf), nameOf);
      return ok({ containers: rows, next });
    },
    async listGroups({ after }, context) {
      await shown(context);
      const all = runner.groups();
      const { rows, next } = pageFrom(all, 1 + all.findIndex(({ name }) => name === after), nameOf);
      return ok({ groups: rows, next });
    },
    async controlContainer({ container, action }, context) {
      await shown(context);
      await settled(context);
      const answer = await runner.find(container)?.control(action);
      switch (answer?.kind) {
        case undefined:
          return fail({ code: 'CONTAINER_NOT_FOUND' });
        case 'accepted':
          return ok({});
        case 'system':
          return fail({ code: 'POLICY_SYSTEM' });
        case 'notAllowed':
          return fail({ code: 'NOT_ALLOWED', status: answer.status, reason: answer.reason });
      }
    },
    async signalReady({ container }, context) {
      await shown(context);
      await settled(context);
      const expected = await runner.signalReady(container);
      return expected ? ok({}) : fail({ code: 'SIGNAL_UNEXPECTED' });
    },
    ...createStepHandlers(desk, runner),
    async runCommand({ op, payload }, context) {
      // What runs, and what is tried, decides whether it may.
      await runner.decided.wait(context);
      const refused = await commands.run(op, payload);
      return refused === undefined ? ok({}) : fail(refused);
    },
    async collectGarbage() {
      await adoption();
      try {
        return ok({ reclaimedBytes: await commands.collectGarbage() });
      } catch (error) {
        return fail({ code: 'STORE_FAILED', reason: String(error).slice(0, 500) });
      }
    },
    async stopAll(_params, context) {
      await settled(context);
      const reasons = await runner.stopAll();
      return reasons.length === 0 ? ok({}) : fail({ code: 'STOP_INCOMPLETE', reasons: [...reasons] });
    },
    ...driverHandlers(runner.drivers),
    ...metadataHandlers(metadata, settings),
    ...leaseHandlers({
      ipam,
      settled,
      statusOf: (container) => runner.find(container)?.row().status,
      released: (container, pool, address) => runner.find(container)?.forgetLease(pool, address),
    }),
    health: () =>
      ok({
        reasons: [
          ...runner.health(),
          ...metadata.health(),
          ...desk.objects.health(),
          ...garbage.health(),
          ...settings.health(),
        ],
      }),
  };
}
