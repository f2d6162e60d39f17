// Modules of Node that are loaded when V8 waits longer than by itself: with the code that Node brings compiled, and V8 goes on waiting.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';
import { V8_PATIENCE } from '../../shared/boot/v8-flags.ts';
import { bundled } from '../kit/bundled.ts';

/** What Node compiled anew in a process of its own, `load` being code that loads `node:crypto`. */
function compiledAnew(load: string, patience = V8_PATIENCE, args: readonly string[] = []): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'berth-later-'));
  try {
    const script = join(folder, 'later.cjs');
    writeFileSync(
      script,
      `const { internalBinding } = require('internal/test/binding');
       ${patience === '' ? '' : `require('node:v8').setFlagsFromString('${patience}');`}
       ${load}
       // One more, which must be as with the patience of a service.
       require('node:tls');
       console.log(JSON.stringify([...internalBinding('builtins').getCacheUsage().compiledWithoutCache]));
      `,
    );
    const env = { ...process.env, NODE_V8_COVERAGE: undefined };
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ['--no-warnings', '--expose-internals', script, ...args],
      {
        encoding: 'utf8',
        env,
      },
    );
    assert.deepEqual([stderr, status], ['', 0]);
    const names: unknown = JSON.parse(stdout);
    assert.ok(Array.isArray(names), stdout);
    return names.map(String);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('boot.load-later', () => {
  it('takes the compiled code of Node, and leaves the patience as it was', async () => {
    const file = await bundled('shared/boot/load-later.ts');
    assert.ok(compiledAnew("process.getBuiltinModule('node:crypto');").includes('crypto'));
    const anew = compiledAnew(
      `require(${JSON.stringify(file)}).loadLater(() => process.getBuiltinModule('node:crypto'));`,
    );
    assert.ok(!anew.includes('crypto'), String(anew));
    assert.ok(anew.includes('tls'), String(anew));
  });

  it('leaves V8 as it is in a rehearsal, whose code is for V8 as it is', async () => {
    const file = await bundled('shared/boot/load-later.ts');
    const load = `require(${JSON.stringify(file)}).loadLater(() => process.getBuiltinModule('node:crypto'));`;
    assert.deepEqual(compiledAnew(load, '', ['--rehearse']), []);
    assert.ok(compiledAnew(load, '').includes('tls'));
  });
});
