// Which revision runs, on disk:
//   <storage>/boot/current.json            a BootState; {"revision":"0"} is one. Or a file beside it (shared/revision/current-file.ts)
//   <storage>/boot/current.json.damaged    the last one with damaged content as it was found, for people
// Absent: what Pantavisor left (shared/revision/stock-boot.ts), or revision 0. Either is doubtful where that does not agree with itself, or
// says nothing, and another one has been found good. Damaged: the one that it names still, or the one that was found good last.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { errorCode, isDamaged, reasonOf } from '../../shared/kernel/system-error.ts';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { CURRENT, currentAfter, currentFile } from '../../shared/revision/current-file.ts';
import { linkedRevision, stockRevisions } from '../../shared/revision/stock-boot.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { revisionName } from '../../shared/schema/names.ts';
import { createTurn } from '../../shared/time/in-turn.ts';
import { writeAtomically } from './atomic-file.ts';
import { type BootState, bootState } from './boot-state.ts';
import type { Read } from './revision-store.ts';
import { type KnownSteps, lostRevision, unnamedRevision } from './unnamed-revision.ts';

export interface BootStore {
  /** What a damaged file does not give is guessed, which `health` tells. */
  load(): Promise<Read<BootState>>;
  /** On disk when it resolves, in the order of the calls; before that the file says what it said. */
  save(state: BootState): Promise<void>;
  /** What the boot loader, or Pantavisor once it is back, may boot, whatever runs here. Throws where that cannot be read. */
  bootable(): ReadonlySet<string>;
  health(): readonly HealthReason[];
}

/** A boot partition without owners, or one that is mounted read-only. */
const TAKES_NOTHING = new Set(['EACCES', 'EPERM', 'EROFS']);

export function openBootStore(storage: string, steps: KnownSteps, log: Logger): BootStore {
  const inTurn = createTurn();
  const write = async (text: string, file = currentFile(storage)): Promise<void> => {
    try {
      await writeAtomically(join(storage, file), text);
    } catch (error) {
      // The kernel renames nothing over a file that it cannot look at.
      const takesNothing = (file === CURRENT && TAKES_NOTHING.has(errorCode(error))) || isDamaged(error);
      const next = currentAfter(file);
      if (next === undefined || !takesNothing) throw error;
      await write(text, next);
      log.info(`which revision runs is written to ${next} from now on: ${file} cannot be (${reasonOf(error)})`);
    }
  };
  let lost: HealthReason | undefined;
  /** `damage` follows the file's name. Rejects where it cannot be seen, either, which revisions there are. */
  const guessed = async (file: string, damage: string, named?: string): Promise<BootState> => {
    const state = named === undefined ? await lostRevision(storage, steps) : withoutLinks(storage, { revision: named });
    const why = named === undefined ? 'as it was found good last, or for want of one' : 'which it names';
    const message =
      `${file} ${damage}: revision ${state.revision} is taken, ${why}; what was being tried, and what had failed, is lost. ` +
      'If another one is meant, run that (pvcontrol cmd run). Check the file system of the storage (fsck)';
    log.error(message);
    lost = { code: 'BOOT_UNREADABLE', subject: file, message };
    return state;
  };
  /** What is written next replaces it. */
  const keep = async (file: string): Promise<void> => {
    const path = join(storage, file);
    await copyFile(path, `${path}.damaged`).catch((error: unknown) => {
      log.warn(`${file} is damaged, and cannot be kept as ${file}.damaged: ${reasonOf(error)}`);
    });
  };
  return {
    async load() {
      let file = CURRENT;
      let damage: string;
      let named: string | undefined;
      const refused = (message: string): Read<BootState> => ({
        ok: false,
        problems: [{ path: join(storage, file), code: 'BOOT_UNREADABLE', message }],
      });
      try {
        file = currentFile(storage);
        const text = readIfPresent(join(storage, file));
        if (text === undefined) return { ok: true, value: await unnamedRevision(storage, steps) };
        const read = parseBootState(text);
        if (read.ok) return { ok: true, value: withoutLinks(storage, read.state) };
        await keep(file);
        damage = `holds ${JSON.stringify(text.slice(0, 60))} where {"revision":"<name>"} is expected`;
        named = read.revision;
      } catch (error) {
        damage = `cannot be read (${reasonOf(error).slice(0, 150)})`;
        if (!isDamaged(error)) return refused(damage);
      }
      return guessed(file, damage, named).then(
        (value) => ({ ok: true, value }),
        (error: unknown) => refused(`${damage}; nor can what was found good last: ${reasonOf(error)}`),
      );
    },
    save: (state) => inTurn(() => write(`${JSON.stringify(state)}\n`)),
    bootable: () => stockRevisions(storage),
    health: () => (lost === undefined ? [] : [lost]),
  };
}

type Parsed = { readonly ok: true; readonly state: BootState } | { readonly ok: false; readonly revision?: string };

const named = z.object({ revision: revisionName });

/** Of what is no state, the revision that it names all the same. */
function parseBootState(text: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false };
  }
  const state = bootState.safeParse(value);
  if (state.success) return { ok: true, state: state.data };
  const name = named.safeParse(value);
  return name.success ? { ok: false, revision: name.data.revision } : { ok: false };
}

/** An earlier build ran Pantavisor's link as a revision of its own; what it leads to would be garbage then. */
function withoutLinks(storage: string, state: BootState): BootState {
  const real = (name: string): string => linkedRevision(join(storage, 'trails', name)) ?? name;
  const named = <T extends { readonly revision: string }>(each: T): T => ({ ...each, revision: real(each.revision) });
  const { updated, trying, asked, assumedBeside } = state;
  return {
    ...named(state),
    ...(updated === undefined ? {} : { updated: named(updated) }),
    ...(trying === undefined ? {} : { trying: named(trying) }),
    ...(asked === undefined ? {} : { asked: named(asked) }),
    ...(assumedBeside === undefined ? {} : { assumedBeside: [...new Set(assumedBeside.map(real))] }),
  };
}
