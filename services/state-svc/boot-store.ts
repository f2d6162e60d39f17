// Which revision runs, on disk:
//   <storage>/boot/current.json    a BootState; {"revision":"0"} is one. Or a file beside it (shared/revision/current-file.ts)
// Absent: what Pantavisor left (shared/revision/stock-boot.ts), or revision 0. Either is doubtful where that does not agree with itself, or
// says nothing, and another one has been found good.
import { join } from 'node:path';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { CURRENT, CURRENT_BESIDE, currentFile } from '../../shared/revision/current-file.ts';
import { linkedRevision, stockBoot, stockRevisions } from '../../shared/revision/stock-boot.ts';
import { writeAtomically } from './atomic-file.ts';
import { type BootState, bootState, MAX_NAMED } from './boot-state.ts';
import type { Read } from './revision-store.ts';
import { awaitsReboot } from './step-progress.ts';
import type { StepStore } from './step-store.ts';

export interface BootStore {
  /** A damaged file is a problem, never a guess. */
  load(): Promise<Read<BootState>>;
  /** On disk when it resolves, in the order of the calls; before that the file says what it said. */
  save(state: BootState): Promise<void>;
  /** What the boot loader, or Pantavisor once it is back, may boot, whatever runs here. Throws where that cannot be read. */
  bootable(): ReadonlySet<string>;
}

type Steps = Pick<StepStore, 'list' | 'progress' | 'arrivedMs'>;

const FACTORY = '0';

/** A boot partition without owners, or one that is mounted read-only. */
const TAKES_NOTHING = new Set(['EACCES', 'EPERM', 'EROFS']);

export function openBootStore(storage: string, steps: Steps, log: Logger): BootStore {
  let writing: Promise<void> = Promise.resolve();
  const write = async (text: string): Promise<void> => {
    const file = currentFile(storage);
    try {
      await writeAtomically(join(storage, file), text);
    } catch (error) {
      if (file === CURRENT_BESIDE || !TAKES_NOTHING.has(errorCode(error))) throw error;
      await writeAtomically(join(storage, CURRENT_BESIDE), text);
      log.info(
        `which revision runs is written to ${CURRENT_BESIDE} from now on: ${CURRENT} cannot be (${errorCode(error)})`,
      );
    }
  };
  return {
    async load() {
      let path = join(storage, CURRENT);
      const refused = (code: string, message: string): Read<BootState> => ({
        ok: false,
        problems: [{ path, code, message }],
      });
      try {
        path = join(storage, currentFile(storage));
        const text = readIfPresent(path);
        if (text === undefined) return { ok: true, value: await unnamed(storage, steps) };
        const value: unknown = JSON.parse(text);
        const parsed = bootState.safeParse(value);
        if (parsed.success) return { ok: true, value: withoutLinks(storage, parsed.data) };
        const found = JSON.stringify(value)?.slice(0, 100);
        return refused('CURRENT_INVALID', `holds ${found}, expected {"revision":"<name>"}`);
      } catch (error) {
        return refused('NOT_JSON', `cannot be read as JSON: ${reasonOf(error)}`);
      }
    },
    save(state) {
      const written = writing.then(() => write(`${JSON.stringify(state)}\n`));
      writing = written.catch(() => undefined);
      return written;
    },
    bootable: () => stockRevisions(storage),
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

async function unnamed(storage: string, steps: Steps): Promise<BootState> {
  const { revision = FACTORY, tried, startedLast, isCertain } = stockBoot(storage);
  if (isCertain) return { revision, ...(tried === undefined ? {} : await goingOn(tried, steps)) };
  const doubted = new Set([...(await foundGood(steps)), ...(startedLast === undefined ? [] : [startedLast])]);
  doubted.delete(revision);
  // Nothing is tried by itself: its commit would be taken for the user's answer.
  return doubted.size === 0 ? { revision } : { revision, assumedBeside: [...doubted].slice(-MAX_NAMED) };
}

/** What comes of the one that the boot loader would try next. One that was being tried was not committed, so nothing does. */
async function goingOn(revision: string, steps: Steps): Promise<Pick<BootState, 'updated' | 'trying'>> {
  const progress = await steps.progress(revision);
  if (progress.status === 'UPDATED') return { updated: { revision, once: false } };
  return awaitsReboot(progress) ? { trying: { revision, way: 'reboot', once: false } } : {};
}

/** Latest last. */
async function foundGood(steps: Steps): Promise<readonly string[]> {
  const good: { readonly name: string; readonly arrivedMs: number }[] = [];
  for (const name of await steps.list()) {
    const { status } = await steps.progress(name);
    // That of the factory says so from its first start on.
    if (name === FACTORY || (status !== 'DONE' && status !== 'UPDATED')) continue;
    good.push({ name, arrivedMs: (await steps.arrivedMs(name)) ?? 0 });
  }
  return good.sort((a, b) => a.arrivedMs - b.arrivedMs).map(({ name }) => name);
}
