// What `npm run crash` and `npm run soak` say to arguments that make no sense, before anything is started.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';

const SCRIPTS = join(import.meta.dirname, '../../scripts');
const run = (command: string, ...options: readonly string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', join(SCRIPTS, command, 'main.ts'), ...options], { encoding: 'utf8' });

const WRONG: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['crash', ['--count', 'many'], /--count takes a whole number of at most nine digits, not 'many'/],
  ['crash', ['--seed', '-1'], /seed/],
  ['crash', ['--count', '0'], /--count 0: nothing would be shown/],
  ['crash', ['--victim', 'x'], /Unknown option '--victim'/],
  ['soak', ['--cycles', '0'], /--cycles 0: nothing would be shown/],
  ['soak', ['--cycles', '1', '--report', '/nowhere/at/all.svg'], /--report \/nowhere\/at\/all\.svg: .*ENOENT/],
  ['soak', ['extra'], /Unexpected argument 'extra'/],
];

describe('crash and soak as commands', () => {
  for (const [command, options, message] of WRONG) {
    it(`${command} ${options.join(' ')} is refused`, () => {
      const { status, stdout, stderr } = run(command, ...options);
      assert.match(stderr, message);
      assert.deepEqual([status, stdout], [2, '']);
    });
  }
});
