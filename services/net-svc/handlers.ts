// One short function per request: what is asked of the domain, and its expected failures as answers.
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { indexAfter, pageFrom } from '../../shared/ipc/page.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { AS_ASKED, attach, listAttachments } from './attachments.ts';
import type { netContract } from './contract.ts';
import type { DesiredState } from './desired-state.ts';
import { createDetachQueue, type DetachedSweep, removeDetached } from './detachments.ts';
import type { DriftRepair } from './drift-repair.ts';
import type { HostNetwork } from './host-network.ts';
import { PoolsOverlap } from './host-overlap.ts';
import { hostAddresses, parentHealth } from './macvlan-parents.ts';
import { NetFailure } from './net-failure.ts';
import type { Namespaces } from './netns.ts';
import type { SenderGuard } from './sender-guard.ts';

const containerOf = ({ container }: { readonly container: string }): string => container;

/** Anything but a NetFailure is a bug and goes on up. */
function netFailed(error: unknown) {
  if (!(error instanceof NetFailure)) throw error;
  return fail({ code: 'NET_FAILED', step: error.step, reason: error.reason });
}

export interface Domain {
  readonly namespaces: Namespaces;
  readonly host: HostNetwork;
  readonly desired: DesiredState;
  readonly drift: Pick<DriftRepair, 'healthReasons' | 'expectChanges'>;
  readonly sweep: DetachedSweep;
  readonly senders: SenderGuard;
}

export function netHandlers({
  namespaces,
  host,
  desired,
  drift,
  sweep,
  senders,
}: Domain): Handlers<typeof netContract> {
  const mayHaveMacvlans = (): boolean => desired.pools.some(({ type }) => type === 'macvlan');
  const leasesOf = (container: string): readonly Lease[] => desired.attachments.get(container) ?? [];
  /** A bridge of its name may be there all the same, and is the host's. */
  const refuseLeftOut = (container: string, leases: readonly Lease[]): void => {
    const lease = leases.find(({ pool }) => host.isLeftOut(pool));
    if (lease === undefined) return;
    const reason = `pool ${lease.pool} overlaps what this machine uses, and is not made while it does`;
    throw new NetFailure(`attach ${lease.interface} of ${container}`, reason);
  };
  const detach = createDetachQueue(namespaces, mayHaveMacvlans, sweep.later);
  return {
    configure: async ({ pools, servers, leaveOut }) => {
      try {
        drift.expectChanges();
        const { nat, made, overlaps } = await host.configure(pools, { servers, leaveOut });
        // At the end of a tree this is the last that is asked.
        if (pools.length === 0) removeDetached();
        desired.setPools(made);
        await senders.ensure();
        return ok({ nat, leftOut: [...overlaps] });
      } catch (error) {
        if (error instanceof PoolsOverlap) return fail({ code: 'POOL_OVERLAPS', overlaps: [...error.overlaps] });
        return netFailed(error);
      }
    },
    attach: async ({ container, interfaces, pid }) => {
      const before = leasesOf(container);
      try {
        if (pid === undefined) refuseLeftOut(container, interfaces);
        drift.expectChanges();
        // First: an interface that comes up says so to its neighbours at once.
        await senders.admit(interfaces);
        const { netns, interfaces: attached } = attach(namespaces, container, interfaces, {
          ...AS_ASKED,
          // Under one that runs, who added the rest is known only where it is known what it had from us.
          strictness: pid === undefined || before.length === 0 ? 'exact' : 'enough',
          before,
          isMacvlan: desired.isMacvlan,
          wasAttached: desired.attachments.has(container),
          pid,
        });
        desired.setAttachment(container, interfaces);
        return ok({ container, netns, interfaces: [...attached] });
      } catch (error) {
        return netFailed(error);
      } finally {
        // Whichever it has now, also where that failed: nobody else would take the other one back.
        await senders.forget([before, interfaces], leasesOf(container));
      }
    },
    detach: async ({ container }) => {
      const gone = leasesOf(container);
      try {
        // Before anything is gone: what is not asked for is not repaired.
        desired.dropAttachment(container);
        drift.expectChanges();
        await detach(container);
        return ok({});
      } catch (error) {
        return netFailed(error);
      } finally {
        // Its leases may be others' by now, also where something of it stays.
        await senders.forget([gone], leasesOf(container));
      }
    },
    listAttachments({ after }) {
      const all = listAttachments(namespaces, mayHaveMacvlans())
        .map((attachment) => ({ ...attachment, interfaces: [...attachment.interfaces] }))
        .sort((a, b) => (a.container < b.container ? -1 : 1));
      const { rows, next } = pageFrom(all, indexAfter(all, after, containerOf), containerOf);
      return ok({ attachments: rows, next });
    },
    listHostAddresses: ({ links }) => {
      try {
        return ok(hostAddresses(links));
      } catch (error) {
        return netFailed(error);
      }
    },
    health: () => {
      const parents = parentHealth(desired.pools, [...desired.attachments.values()].flat());
      return ok({ reasons: [...host.healthReasons(), ...parents, ...drift.healthReasons()] });
    },
  };
}
