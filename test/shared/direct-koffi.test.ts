// How bundles find the addon of koffi: at once where it is glibc's, by koffi's own search elsewhere.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { build } from 'esbuild';
import { bundleOptions, ROOT } from '../../scripts/bundles.ts';

const PROGRAM = `
  import { pipe2 } from '${join(ROOT, 'shared/kernel/libc.ts')}';
  const searched = Object.keys(require.cache).some((path) => path.endsWith('koffi/index.cjs'));
  console.log(pipe2(0).readFd > 2, searched);`;

describe('bundles.koffi', () => {
  let folder = '';
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-koffi-'));
    writeFileSync(join(folder, 'program.ts'), PROGRAM);
    const { entryPoints: _, ...options } = await bundleOptions();
    await build({ ...options, entryPoints: [join(folder, 'program.ts')], outdir: folder });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const run = (packages: readonly string[]): string => {
    const modules = join(folder, 'node_modules');
    rmSync(modules, { recursive: true, force: true });
    mkdirSync(modules);
    for (const name of packages) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
    const { stdout, stderr } = spawnSync(process.execPath, [join(folder, 'program.js')], { encoding: 'utf8' });
    return `${stdout.trim()}${stderr}`;
  };

  it('load the addon without the search for it', () => assert.equal(run(['koffi', '@koromix']), 'true false'));
  it('leave the search to koffi where it is another', () => assert.equal(run(['koffi']), 'true true'));
});
