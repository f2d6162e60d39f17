// Which revision runs, on disk:
//   <storage>/boot/current.json    a BootState; {"revision":"0"} is one. Or a file beside it (shared/revision/current-file.ts)
// Absent: what Pantavisor left (shared/revision/stock-boot.ts), or revision 0. Either is doubtful where that does not agree with itself, or
// says nothing, and another one has been found good. Where the disk does not give it: the one that was found good last.
import { join } from 'node:path';
import { errorCode, isDamaged, reasonOf } from '../../shared/kernel/system-error.ts';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { CURRENT, CURRENT_BESIDE, currentFile } from '../../shared/revision/current-file.ts';
import { linkedRevision, stockRevisions } from '../../shared/revision/stock-boot.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import { createTurn } from '../../shared/time/in-turn.ts';
import { writeAtomically } from './atomic-file.ts';
import { type BootState, bootState } from './boot-state.ts';
import type { Read } from './revision-store.ts';
import { type KnownSteps, lostRevision, unnamedRevision } from './unnamed-revision.ts';

export interface BootStore {
  /** A file with damaged content is a problem, never a guess. One that the disk does not give is guessed, which `health` tells. */
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
  const write = async (text: string): Promise<void> => {
    const file = currentFile(storage);
    try {
      await writeAtomically(join(storage, file), text);
    } catch (error) {
      // The kernel renames nothing over a file that it cannot look at.
      const takesNothing = TAKES_NOTHING.has(errorCode(error)) || isDamaged(error);
      if (file === CURRENT_BESIDE || !takesNothing) throw error;
      await writeAtomically(join(storage, CURRENT_BESIDE), text);
      log.info(
        `which revision runs is written to ${CURRENT_BESIDE} from now on: ${CURRENT} cannot be (${reasonOf(error)})`,
      );
    }
  };
  let lost: HealthReason | undefined;
  /** Rejects where it cannot be seen, either, which revisions there are. */
  const guessed = async (file: string, error: unknown): Promise<BootState> => {
    const state = await lostRevision(storage, steps);
    const message =
      `${file} cannot be read (${reasonOf(error).slice(0, 150)}): revision ${state.revision} is taken, as it was found good last, or for want of one; what was ` +
      'being tried, and what had failed, is lost. If another one is meant, run that (pvcontrol cmd run). Check the file system of the storage (fsck)';
    log.error(message);
    lost = { code: 'BOOT_UNREADABLE', subject: file, message };
    return state;
  };
  return {
    async load() {
      let file: string = CURRENT;
      const refused = (code: string, message: string): Read<BootState> => ({
        ok: false,
        problems: [{ path: join(storage, file), code, message }],
      });
      try {
        file = currentFile(storage);
        const text = readIfPresent(join(storage, file));
        if (text === undefined) return { ok: true, value: await unnamedRevision(storage, steps) };
        const value: unknown = JSON.parse(text);
        const parsed = bootState.safeParse(value);
        if (parsed.success) return { ok: true, value: withoutLinks(storage, parsed.data) };
        const found = JSON.stringify(value)?.slice(0, 100);
        return refused('CURRENT_INVALID', `holds ${found}, expected {"revision":"<name>"}`);
      } catch (error) {
        if (!isDamaged(error)) return refused('NOT_JSON', `cannot be read as JSON: ${reasonOf(error)}`);
        return guessed(file, error).then(
          (value) => ({ ok: true, value }),
          (why: unknown) => {
            const message = `cannot be read: ${reasonOf(error)}; nor can what was found good last: ${reasonOf(why)}`;
            return refused('BOOT_UNREADABLE', message);
          },
        );
      }
    },
    save: (state) => inTurn(() => write(`${JSON.stringify(state)}\n`)),
    bootable: () => stockRevisions(storage),
    health: () => (lost === undefined ? [] : [lost]),
  };
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
