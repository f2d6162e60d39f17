// Looks at files of containers that never come back: a container can have whoever opens or reads its files wait for it (permission events
// of fanotify(7), pages that userfaultfd(2) serves), and this service stands still until it is killed. So it is written down whose files are
// looked at. The next service looks at them once more, as it may have been killed by chance, and then leaves that run alone.
//
// <rundir>/lxc/.look                the run that is looked at; empty: none
// <rundir>/lxc/<container>/look.json  how many services ended in a row while they looked at this run
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { containerPlaces, lookPath, type Places } from './places.ts';
import { type LookRecord, readLookRecord, readPresentLook, removeRecord, writeLookRecord } from './record-store.ts';

/** Who looks at its files may have been killed for another reason; hardly twice in a row. */
const MAX_DEATHS = 2;

export interface LookedAt {
  readonly pid: number;
  readonly startTicks: number | undefined;
}

export interface LookGuard {
  /** Whether files of this run may be looked at. */
  allows(container: string, run: LookedAt): boolean;
  /** Throws what the look throws. */
  during<T>(container: string, run: LookedAt, look: () => T): T;
  close(): void;
}

/** <rundir>/lxc exists. Where nothing can be written there, nothing is known of looks. */
export function createLookGuard(places: Places): LookGuard {
  const path = lookPath(places);
  const recordOf = (container: string): string => containerPlaces(places, container).lookRecord;
  /** Of runs that were asked for. */
  const known = new Map<string, LookRecord | undefined>();
  const deadly = readPresentLook(path);
  if (deadly !== undefined) {
    const { container, ...run } = deadly;
    const before = readLookRecord(recordOf(container));
    const deaths = before !== undefined && isSame(before, run) ? before.deaths : 0;
    attempt(() => writeLookRecord(recordOf(container), { ...run, deaths: deaths + 1 }));
  }
  const fd = attempt(() => openSync(path, 'w', 0o600));
  const note = (text: string): void => {
    if (fd !== undefined) attempt(() => (text === '' ? ftruncateSync(fd, 0) : writeSync(fd, text, 0)));
  };

  const read = (container: string): LookRecord | undefined => {
    if (!known.has(container)) known.set(container, readLookRecord(recordOf(container)));
    return known.get(container);
  };
  return {
    allows(container, run) {
      const record = read(container);
      return record === undefined || !isSame(record, run) || record.deaths < MAX_DEATHS;
    },
    during(container, run, look) {
      note(JSON.stringify({ container, ...run }));
      try {
        return look();
      } finally {
        note('');
        if (read(container) !== undefined) {
          attempt(() => removeRecord(recordOf(container)));
          known.set(container, undefined);
        }
      }
    },
    close() {
      if (fd !== undefined) closeSync(fd);
    },
  };
}

/** Without room for it a look goes on unwatched. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

function isSame(one: Partial<LookedAt>, other: Partial<LookedAt>): boolean {
  return one.pid === other.pid && one.startTicks === other.startTicks;
}
