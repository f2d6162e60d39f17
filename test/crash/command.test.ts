// What the demo and the commands that test say to arguments that make no sense, and to whoever asks for help, before anything is started.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAMS = {
  crash: 'scripts/crash/main.ts',
  soak: 'scripts/soak/main.ts',
  fuzz: 'scripts/fuzz/main.ts',
  bench: 'scripts/bench/main.ts',
  hw: 'hw-tests/run.ts',
  demo: 'scripts/sandbox/demo.ts',
} as const;
type Command = keyof typeof PROGRAMS;
const COMMANDS: readonly Command[] = ['crash', 'soak', 'fuzz', 'bench', 'hw', 'demo'];
const usageOf = (command: Command): RegExp =>
  new RegExp(`^usage: ${command === 'demo' ? 'scripts/demo' : `npm run ${command}`} `, 'm');
const run = (command: Command, ...options: readonly string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', join(ROOT, PROGRAMS[command]), ...options], { encoding: 'utf8' });

const WRONG: readonly (readonly [Command, readonly string[], RegExp])[] = [
  ['crash', ['--count', 'many'], /--count takes a whole number of at most nine digits, not 'many'/],
  ['crash', ['--seed', '-1'], /seed/],
  ['crash', ['--count', '0'], /--count 0: nothing would be shown/],
  ['crash', ['--victim', 'x'], /Unknown option '--victim'/],
  ['soak', ['--cycles', '0'], /--cycles 0: nothing would be shown/],
  ['soak', ['--cycles', '1', '--report', '/nowhere/at/all.svg'], /--report \/nowhere\/at\/all\.svg: .*ENOENT/],
  ['soak', ['extra'], /Unexpected argument 'extra'/],
  ['fuzz', ['--requests', '1.5'], /--requests takes a whole number of at most nine digits, not '1.5'/],
  ['fuzz', ['--loud'], /Unknown option '--loud'/],
  [
    'demo',
    ['nowhere'],
    /no example nowhere in test\/examples; there are 01-basic, 02-static-address, .*22-config-overlay$/m,
  ],
  ['demo', ['03', '04'], /one example at a time: 04 is too much/],
];

describe('commands that try Berth', () => {
  for (const [command, options, message] of WRONG) {
    it(`${command} ${options.join(' ')} is refused, with the usage`, () => {
      const { status, stdout, stderr } = run(command, ...options);
      assert.match(stderr, message);
      assert.match(stderr, usageOf(command));
      assert.deepEqual([status, stdout], [2, '']);
    });
  }

  for (const command of COMMANDS) {
    it(`${command} --help tells every option, and does nothing`, () => {
      const { status, stdout, stderr } = run(command, '--help');
      assert.match(stdout, usageOf(command));
      assert.match(stdout, /^ {2}--(json|check) /m);
      assert.deepEqual([status, stderr], [0, '']);
    });
  }
});
