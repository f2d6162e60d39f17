// A folder of hooks for a whole tree, as a device's maker would have it in the root filesystem.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface HookFolder {
  /** Whatever hooks leave for the test; inside the tree it has the same path. */
  readonly root: string;
  /** For `berth run`. */
  readonly options: readonly string[];
  /** A shell script. */
  write(name: string, script: string): void;
  remove(): void;
}

export function hookFolder(): HookFolder {
  const root = mkdtempSync(join(tmpdir(), 'berth-hooks-'));
  const folder = join(root, 'pv/hooks/system.d');
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  return {
    root,
    options: ['--set', `PV_SYSTEM_LIBDIR=${root}`],
    write: (name, script) => writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 }),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
