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
  let isOpen = false;
  let isRefused = false;

  /** Whether it differs from what was told under this key last. */
  const isNew = (key: string, value: string): boolean => {
    if (told.get(key) === value) return false;
    told.set(key, value);
    return true;
  };

  /** `only`: of this group; undefined: of all. */
  const rows = (containers: readonly Container[], only?: string): readonly GroupRow[] =>
    groups
      .filter(({ name }) => only === undefined || name === only)
      .map((group) => groupRow(group, commonStatus(containers.filter(({ plan }) => plan.group === group.name))));

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
    for (const row of rows(containers, changed?.plan.group)) {
      if (!isNew(`group ${row.name}`, row.status)) continue;
      log.info(`group ${row.name} is ${row.status}`);
      channel.publish(stateContract, 'groupChanged', { group: row });
    }
    // Of a refused one nothing runs: that no goal is missed would be no news.
    if (isRefused) return;
    const now = commonStatus(containers);
    if (!isNew('revision', now)) return;
    log.info(`revision ${revision ?? '?'} is ${now}`);
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
    groups: (containers) => rows(containers),
    status: commonStatus,
  };
}
