// Which revision runs, on disk:
//   <storage>/boot/current.json    a BootState; {"revision":"0"} is one
// Absent: what Pantavisor left (shared/revision/stock-boot.ts), or revision 0, which is doubtful where another one has been found good.
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { stockRevision } from '../../shared/revision/stock-boot.ts';
import { revisionName } from '../../shared/schema/names.ts';
import { readIfPresent, writeAtomically } from './atomic-file.ts';
import { type BootState, bootState, MAX_NAMED } from './boot-state.ts';
import type { Read } from './revision-store.ts';
import type { StepStore } from './step-store.ts';

export interface BootStore {
  /** A damaged file is a problem, never a guess. */
  load(): Promise<Read<BootState>>;
  /** On disk when it resolves, in the order of the calls; before that the file says what it said. */
  save(state: BootState): Promise<void>;
}

type Steps = Pick<StepStore, 'list' | 'progress' | 'arrivedMs'>;

const FACTORY = '0';

export function openBootStore(storage: string, steps: Steps): BootStore {
  const path = join(storage, 'boot/current.json');
  let writing: Promise<void> = Promise.resolve();
  const refused = (code: string, message: string): Read<BootState> => ({
    ok: false,
    problems: [{ path, code, message }],
  });
  return {
    async load() {
      try {
        const text = readIfPresent(path);
        if (text === undefined) return { ok: true, value: await unnamed(storage, steps) };
        const value: unknown = JSON.parse(text);
        const parsed = bootState.safeParse(value);
        if (parsed.success) return { ok: true, value: withoutLinks(storage, parsed.data) };
        const found = JSON.stringify(value)?.slice(0, 100);
        return refused('CURRENT_INVALID', `holds ${found}, expected {"revision":"<name>"}`);
      } catch (error) {
        return refused('NOT_JSON', `cannot be read as JSON: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
    save(state) {
      const written = writing.then(() => writeAtomically(path, `${JSON.stringify(state)}\n`));
      writing = written.catch(() => undefined);
      return written;
    },
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

/** Undefined: it is no link to a revision beside it. */
function linkedRevision(path: string): string | undefined {
  try {
    // Pantavisor's are absolute.
    const { success, data } = revisionName.safeParse(readlinkSync(path).replace(/^.*\/trails\//, ''));
    return success ? data : undefined;
  } catch {
    return undefined;
  }
}

async function unnamed(storage: string, steps: Steps): Promise<BootState> {
  const stock = stockRevision(storage);
  if (stock !== undefined) return { revision: stock };
  const doubted: { readonly name: string; readonly arrivedMs: number }[] = [];
  for (const name of await steps.list()) {
    const { status } = await steps.progress(name);
    if (name === FACTORY || (status !== 'DONE' && status !== 'UPDATED')) continue;
    doubted.push({ name, arrivedMs: (await steps.arrivedMs(name)) ?? 0 });
  }
  if (doubted.length === 0) return { revision: FACTORY };
  const latestLast = doubted.sort((a, b) => a.arrivedMs - b.arrivedMs).map(({ name }) => name);
  return { revision: FACTORY, assumedBeside: latestLast.slice(-MAX_NAMED) };
}
