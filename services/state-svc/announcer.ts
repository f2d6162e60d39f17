// Tells others what changed: rows of containers and groups when they differ from what was told last, statuses to the log.
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Group } from '../../shared/revision/revision.ts';
import type { GroupRow, Status } from '../../shared/schema/api.ts';
import type { Container } from './container.ts';
import { stateContract } from './contract.ts';
import { commonStatus } from './group-status.ts';
import { groupRow } from './rows.ts';

export interface Announcer {
  /** The revision stands, or is `refused`: subscribers take their lists, and changes are told from now on. */
  open(containers: readonly Container[], refused: boolean): void;
  /** `changed` alone differs from what was told; undefined: any of them may. */
  look(containers: readonly Container[], changed?: Container): void;
  groups(containers: readonly Container[]): readonly GroupRow[];
  /** Of the revision. */
  status(containers: readonly Container[]): Status;
}

export function createAnnouncer(
  channel: Channel,
  log: Logger,
  revision: string | undefined,
  groups: readonly Group[],
  /** The status of the revision changed. */
  statusChanged: () => void,
): Announcer {
  const told = new Map<string, string>();
  const groupStatuses = new Map<string, Status>();
  /** Of the revision; undefined: nobody has looked yet, or it was refused. */
  let common: Status | undefined;
  let isOpen = false;
  let isRefused = false;

  /** Whether it differs from what was told under this key last. */
  const isNew = (key: string, value: string): boolean => {
    if (told.get(key) === value) return false;
    told.set(key, value);
    return true;
  };

  const statusOf = (containers: readonly Container[], group: string): Status =>
    commonStatus(containers.filter(({ plan }) => plan.group === group));

  /** False: it shows what was told of it last. */
  const tellRow = (container: Container): boolean => {
    const row = container.row();
    if (!isNew(`container ${row.name}`, JSON.stringify(row))) return false;
    channel.publish(stateContract, 'containerChanged', { container: row });
    return true;
  };

  const look = (containers: readonly Container[], changed?: Container): void => {
    if (!isOpen) return;
    const news = (changed === undefined ? containers : [changed]).map(tellRow);
    // What groups and the revision show of it is in its row.
    if (changed !== undefined && !news.includes(true)) return;
    for (const group of groups) {
      if (changed !== undefined && changed.plan.group !== group.name) continue;
      const status = statusOf(containers, group.name);
      if (groupStatuses.get(group.name) === status) continue;
      groupStatuses.set(group.name, status);
      log.info(`group ${group.name} is ${status}`);
      channel.publish(stateContract, 'groupChanged', { group: groupRow(group, status) });
    }
    // Of a refused one nothing runs: that no goal is missed would be no news.
    if (isRefused) return;
    // Each container is in a group, and a group is READY when all in it have met their goals.
    common = commonStatus([...groupStatuses.values()].map((status) => ({ status, goal: 'READY' as const })));
    if (!isNew('revision', common)) return;
    log.info(`revision ${revision ?? '?'} is ${common}`);
    statusChanged();
  };

  return {
    open(containers, refused) {
      isOpen = true;
      isRefused = refused;
      channel.publish(stateContract, 'revisionChanged', { revision: revision ?? '' });
      look(containers);
    },
    look,
    groups: (containers) => groups.map((group) => groupRow(group, statusOf(containers, group.name))),
    status: (containers) => common ?? commonStatus(containers),
  };
}
