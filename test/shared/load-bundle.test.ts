// Bundles that are started from compiled code: it is used when it fits, and nothing depends on it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, beforeEach, describe, it } from 'node:test';
import { bundled } from '../kit/bundled.ts';

const BEFORE = new Date('2026-01-01T00:00:00Z');
const AFTER = new Date('2026-01-01T00:00:01Z');
const { NODE_V8_COVERAGE: _coverage, ...env } = process.env;

describe('boot.load-bundle', () => {
  let boot = '';
  let folder = '';
  let bundle = '';
  before(async () => {
    boot = await bundled('shared/boot/main.ts');
    folder = mkdtempSync(join(tmpdir(), 'berth-boot-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const run = (...args: readonly string[]) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [boot, ...args], { encoding: 'utf8', env });
    return { stdout: stdout.trim(), stderr, status };
  };
  const write = (source: string, at: Date): void => {
    writeFileSync(bundle, source);
    utimesSync(bundle, at, at);
  };
  const kept = (): string => {
    const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('.cache'));
    return join(folder, found ?? 'none');
  };

  beforeEach(() => {
    bundle = join(folder, 'thing.js');
    write("console.log('one', __filename === process.argv.at(-1), typeof require, typeof module.exports);\n", BEFORE);
    assert.equal(run('--rehearse', bundle).status, 0);
    utimesSync(kept(), AFTER, AFTER);
  });

  it('runs the compiled code, as a module of CommonJS', () => {
    // V8 takes it for this source by its length: had it been compiled, it would say so.
    write("console.log('two', __filename === process.argv.at(-1), typeof require, typeof module.exports);\n", BEFORE);
    assert.equal(run(bundle).stdout, 'one true function object');
  });

  it('compiles a bundle that was changed since', () => {
    write(
      "console.log('two', __filename === process.argv.at(-1), typeof require, typeof module.exports);\n",
      new Date(),
    );
    assert.equal(run(bundle).stdout, 'two true function object');
  });

  it('compiles it where the code is that of other flags, is damaged, or is not there', () => {
    const flagged = spawnSync(process.execPath, ['--max-semi-space-size=1', boot, bundle], { encoding: 'utf8', env });
    assert.equal(flagged.stdout.trim(), 'one true function object');
    truncateSync(kept(), 100);
    utimesSync(kept(), AFTER, AFTER);
    assert.equal(run(bundle).stdout, 'one true function object');
    rmSync(kept());
    assert.equal(run(bundle).stdout, 'one true function object');
  });

  it('tells in a stack where the error was', () => {
    write("function f() { throw new Error('here'); }\nf();\n", BEFORE);
    rmSync(kept());
    const { stderr } = run(bundle);
    run('--rehearse', bundle);
    assert.equal(/thing\.js:1:\d+/.exec(run(bundle).stderr)?.[0], /thing\.js:1:\d+/.exec(stderr)?.[0]);
  });

  it('lets no text become code, in whichever way', () => {
    write(
      `const ways = [() => eval('1'), () => (0, eval)('1'), () => new Function('1'), () => Function('1'),
        () => (() => {}).constructor('1'), () => (async () => {}).constructor('1'),
        () => (function* () {}).constructor('1'), () => (async function* () {}).constructor('1'),
        () => { Function.prototype.constructor = 1; delete globalThis.eval; return (class {}).constructor('1'); }];
      console.log(ways.map((way) => { try { way(); return 'DONE'; } catch (error) { return error.name; } }).join(' '));
      console.log((() => 1) instanceof Function, (async () => 1) instanceof Function);\n`,
      BEFORE,
    );
    const { stdout } = run(bundle);
    assert.equal(stdout, `${'EvalError '.repeat(9).trim()}\ntrue true`);
  });

  it('ends a program whose heap is beyond what a service may have, with a reason', () => {
    write('const kept = []; setInterval(() => { for (let i = 0; i < 2e5; i += 1) kept.push({ i }); }, 100);\n', BEFORE);
    const { stderr, status } = run(bundle);
    assert.notEqual(status, 0);
    assert.match(stderr, /the heap has \d+ bytes, more than 134217728/);
  });
});
