// Every script says what it does to whoever asks, before it does anything.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, it } from 'node:test';
import { cleanEnvironment } from '../kit/covered-machine.ts';

const SCRIPTS = join(import.meta.dirname, '../../scripts');
const isScript = (name: string): boolean => {
  const { mode } = statSync(join(SCRIPTS, name));
  return (mode & 0o170111) === 0o100111;
};

describe('scripts', () => {
  // Stand in for what would be run: a script that gets so far fails.
  const folder = mkdtempSync(join(tmpdir(), 'berth-help-'));
  for (const name of ['npm', 'node', 'apt-get']) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "ran ${name}" >&2\nexit 3\n`, { mode: 0o755 });
  }
  after(() => rmSync(folder, { recursive: true }));
  const env = cleanEnvironment({ PATH: `${folder}:${process.env.PATH ?? ''}` });

  for (const name of readdirSync(SCRIPTS).filter(isScript)) {
    it(`${name} explains itself, and refuses an option that it does not know`, () => {
      const run = (word: string) => spawnSync(join(SCRIPTS, name), [word], { encoding: 'utf8', env });
      const help = run('--help');
      assert.deepEqual([help.status, help.stderr], [0, '']);
      assert.match(help.stdout, new RegExp(`^usage: (scripts/)?${name}\\b`));
      const wrong = run('--nonsense');
      assert.equal(wrong.status, 2, wrong.stderr);
      assert.doesNotMatch(wrong.stderr, /^ran /m);
    });
  }

  for (const [name, usage] of [
    ['run-tests.ts', /^usage: npm test/],
    ['readme-tables.ts', /^usage: npm run readme/],
    ['scenarios.ts', /^usage: npm run scenarios/],
  ] as const) {
    it(`${name} does, too`, () => {
      const run = (word: string) =>
        spawnSync(process.execPath, ['--import', 'tsx', join(SCRIPTS, name), word], { encoding: 'utf8' });
      const help = run('--help');
      assert.deepEqual([help.status, help.stderr], [0, '']);
      assert.match(help.stdout, usage);
      assert.equal(run('-h').stdout, help.stdout);
      const wrong = run('--nonsense');
      assert.equal(wrong.status, 2);
      assert.match(wrong.stderr, /: (Unknown option '--nonsense'|.*'--nonsense')\n\nusage: /);
    });
  }
});
