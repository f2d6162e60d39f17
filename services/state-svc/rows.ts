// What the control API shows of containers and groups.
import type { AutoRecovery, ContainerPlan, Group } from '../../shared/revision/revision.ts';
import type { ContainerRow, GroupRow, Status } from '../../shared/schema/api.ts';
import type { ExitStatus } from '../../shared/schema/exit.ts';
import { isoTime } from '../../shared/time/iso-time.ts';
import type { Plumbing } from './start-pipeline.ts';

/** What is known of a container at this moment. */
export interface ContainerView {
  readonly plan: ContainerPlan;
  readonly status: Status;
  readonly sinceMs: number;
  readonly pid: number | undefined;
  readonly exit: { readonly status: ExitStatus; readonly atMs: number } | undefined;
  readonly plumbing: Plumbing | undefined;
  readonly detached: readonly string[];
  readonly userStopped: boolean;
  readonly stable: boolean;
  readonly retries: number;
  readonly restarts: number;
}

export function containerRow(view: ContainerView): ContainerRow {
  const { plan, exit } = view;
  const network = networkRow(view);
  return {
    name: plan.name,
    group: plan.group,
    status: view.status,
    status_goal: plan.statusGoal,
    restart_policy: plan.restartPolicy,
    roles: [...plan.roles],
    ...(plan.autoRecovery === undefined || plan.autoRecovery.policy === 'no'
      ? {}
      : { auto_recovery: recoveryRow(plan.autoRecovery, view) }),
    ...(plan.restartPolicy === 'container' ? { user_stopped: text(view.userStopped) } : {}),
    ...(network === undefined ? {} : { network }),
    pid: view.pid ?? null,
    exit: exit === undefined ? null : { status: exit.status, at: isoTime(exit.atMs) },
    restarts: view.restarts,
    since: isoTime(view.sinceMs),
    ...(view.detached.length === 0 ? {} : { detached_mounts: [...view.detached] }),
  };
}

function recoveryRow(recovery: AutoRecovery, view: ContainerView): ContainerRow['auto_recovery'] {
  return {
    policy: recovery.policy,
    max_retries: recovery.maxRetries,
    current_retries: view.retries,
    stable_timeout: recovery.stableTimeoutSeconds,
    is_stable: text(view.stable),
    backoff_policy: recovery.backoffPolicy,
  };
}

function networkRow({ plan, plumbing }: ContainerView): ContainerRow['network'] {
  if (plumbing === undefined || plumbing.leases.length === 0) return undefined;
  const hostInterfaces = new Map(plumbing.hostInterfaces.map((each) => [each.interface, each.hostInterface]));
  return {
    hostname: plan.hostname,
    interfaces: plumbing.leases.map((lease) => ({
      pool: lease.pool,
      name: lease.interface,
      ipv4: `${lease.address}/${lease.prefixLength}`,
      gateway: lease.gateway,
      bridge: lease.bridge,
      // Empty while it is detached: the lease stays, the interface does not.
      host_interface: hostInterfaces.get(lease.interface) ?? '',
      mac: lease.mac,
    })),
  };
}

export function groupRow(group: Group, status: Status): GroupRow {
  const { autoRecovery } = group;
  return {
    name: group.name,
    status_goal: group.statusGoal,
    restart_policy: group.restartPolicy,
    status,
    ...(autoRecovery === undefined || autoRecovery.policy === 'no'
      ? {}
      : {
          auto_recovery: {
            max_retries: autoRecovery.maxRetries,
            stable_timeout: autoRecovery.stableTimeoutSeconds,
            backoff_policy: autoRecovery.backoffPolicy,
          },
        }),
  };
}

function text(value: boolean): 'true' | 'false' {
  return value ? 'true' : 'false';
}
