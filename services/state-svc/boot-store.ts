// Which revision runs, on disk:
//   <storage>/boot/current.json    a BootState; {"revision":"0"} is one; absent: that
import { join } from 'node:path';
import { readIfPresent, writeAtomically } from './atomic-file.ts';
import { type BootState, bootState } from './boot-state.ts';
import type { Read } from './revision-store.ts';

export interface BootStore {
  /** A damaged file is a problem, never a guess. */
  load(): Promise<Read<BootState>>;
  /** On disk when it resolves, in the order of the calls; before that the file says what it said. */
  save(state: BootState): Promise<void>;
}

const FACTORY: BootState = { revision: '0' };

export function openBootStore(storage: string): BootStore {
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
        if (text === undefined) return { ok: true, value: FACTORY };
        const value: unknown = JSON.parse(text);
        const parsed = bootState.safeParse(value);
        if (parsed.success) return { ok: true, value: parsed.data };
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
