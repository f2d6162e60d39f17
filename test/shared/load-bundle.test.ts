// Bundles that are started from compiled code: it is used when it fits, and nothing depends on it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, beforeEach, describe, it } from 'node:test';
import { V8_FLAGS } from '../../shared/boot/v8-flags.ts';
import { bundled } from '../kit/bundled.ts';

const BEFORE = new Date('2026-01-01T00:00:00Z');
const AFTER = new Date('2026-01-01T00:00:01Z');
// Node hands this one on to whatever it starts, unless it is named.
const env = { ...process.env, NODE_V8_COVERAGE: undefined };

describe('boot.load-bundle', () => {
  let boot = '';
  let folder = '';
  let bundle = '';
  before(async () => {
    boot = await bundled('shared/boot/main.ts');
    folder = mkdtempSync(join(tmpdir(), 'berth-boot-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const start = (flags: readonly string[], ...args: readonly string[]) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, boot, ...args], {
      encoding: 'utf8',
      env,
    });
    return { stdout: stdout.trim(), stderr, status };
  };
  /** As services are started. */
  const run = (path: string) => start(V8_FLAGS, path);
  /** As the build does it, and the installer. */
  const rehearse = (path: string) => start([], '--rehearse', path);
  const write = (source: string, at: Date): void => {
    writeFileSync(bundle, source);
    utimesSync(bundle, at, at);
  };
  const kept = (): string => {
    const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('.cache'));
    return join(folder, found ?? 'none');
  };

  beforeEach(() => {
    bundle = join(folder, 'thing-svc.js');
    write("console.log('one', __filename === process.argv.at(-1), typeof require, typeof module.exports);\n", BEFORE);
    assert.equal(rehearse(bundle).status, 0);
    utimesSync(kept(), AFTER, AFTER);
  });

  it('runs the compiled code, as a module of CommonJS', () => {
    // V8 takes it for this source by its length: had it been compiled, it would say so.
    write("console.log('two', __filename === process.argv.at(-1), typeof require, typeof module.exports);\n", BEFORE);
    assert.equal(run(bundle).stdout, 'one true function object');
  });

  it('has V8 optimise what is hot, and not what a start runs', () => {
    const turns = (count: number): string => {
      write(
        `const half = (number) => { let sum = 0; for (const part of [number, number / 2]) sum += part; return sum; };
         setImmediate(() => { let sum = 0; for (let turn = 0; turn < ${count}; turn++) sum += half(turn); console.log(sum > 0); });
        `,
        AFTER,
      );
      const { stdout, stderr, status } = start([...V8_FLAGS, '--trace-opt', '--no-use-osr'], bundle);
      assert.deepEqual([stderr, status], ['', 0]);
      return stdout;
    };
    const taken = /marking .*\bhalf\b.* for optimization to TURBOFAN/;
    assert.doesNotMatch(turns(10_000), taken);
    assert.match(turns(1_000_000), taken);
  });

  it('has no cache of numbers in memory that is larger than what V8 would make by itself', () => {
    // That of Node's snapshot is a large object of 262,160 bytes.
    write(
      `gc();
       const { getHeapSpaceStatistics } = require('node:v8');
       console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === 'large_object_space').space_used_size);
      `,
      AFTER,
    );
    assert.ok(Number(run(bundle).stdout) < 262_160);
  });

  it('compiles a bundle that was changed since', () => {
    write(
      "console.log('two', __filename === process.argv.at(-1), typeof require, typeof module.exports);\n",
      new Date(),
    );
    assert.equal(run(bundle).stdout, 'two true function object');
  });

  it('compiles it where the code is that of other flags, is damaged, or is not there', () => {
    // As above: whoever took the compiled code would say the other word.
    write("console.log('two', __filename === process.argv.at(-1), typeof require, typeof module.exports);\n", BEFORE);
    assert.equal(start(['--stack-size=900'], bundle).stdout, 'two true function object');
    truncateSync(kept(), 100);
    utimesSync(kept(), AFTER, AFTER);
    assert.equal(run(bundle).stdout, 'two true function object');
    rmSync(kept());
    assert.equal(run(bundle).stdout, 'two true function object');
  });

  it('brings functions compiled that loading did not call', () => {
    const source = "function idle() { return 'idle'; }\nif (process.argv.length > 9) idle();\n";
    const bytesOf = (text: string): number => {
      write(text, BEFORE);
      assert.equal(rehearse(bundle).status, 0);
      return statSync(kept()).size;
    };
    const long = source.replace("return 'idle';", `return 'idle' ${'+ Math.random()'.repeat(500)};`);
    // What is only parsed leaves the same few bytes, however long it is.
    assert.ok(bytesOf(long) > bytesOf(source) + 500);
  });

  it('keeps what has run of a service that really started, where it is told to', () => {
    const file = join(folder, 'elsewhere');
    const source = `function idle() { return 'idle' ${'+ Math.random()'.repeat(500)}; }\nif (process.argv.length > 9) idle();\n`;
    write(source, BEFORE);
    assert.equal(rehearse(bundle).status, 0);
    const all = statSync(kept());
    assert.equal(start([], '--rehearse', bundle, file).status, 0);
    assert.ok(statSync(file).size < all.size - 500, 'idle never ran');
    assert.equal(statSync(kept()).mtimeMs, all.mtimeMs, 'the other is left alone');
  });

  it('leaves the process with limits of the heap, without code from texts, and with what Node has compiled of its own', () => {
    write(
      `const { internalBinding } = require('internal/test/binding');
      const usage = () => internalBinding('builtins').getCacheUsage();
      const before = usage().compiledWithCache.size;
      require('node:http');
      let made = 'code';
      try { new Function('return 1')(); } catch { made = 'none'; }
      const limit = require('node:v8').getHeapStatistics().heap_size_limit;
      console.log(limit < 256 * 1024 * 1024, made, usage().compiledWithCache.size > before);\n`,
      BEFORE,
    );
    const inside = ['--expose-internals', '--no-warnings'];
    assert.equal(start([...V8_FLAGS, ...inside], bundle).stdout, 'true none true');
    assert.equal(start(inside, bundle).stdout, 'false code true');
  });

  it('brings no loader of ES modules into memory that Node itself has not', () => {
    const source = "console.log(process.moduleLoadList.some((name) => name.endsWith('/esm/loader')), 'booted');\n";
    write(source, BEFORE);
    rehearse(bundle);
    const plain = spawnSync(process.execPath, [bundle], { encoding: 'utf8', env }).stdout.trim();
    write(source.replace('booted', 'parsed'), BEFORE);
    assert.match(plain, /^(true|false) booted$/);
    assert.equal(run(bundle).stdout, plain, 'from its compiled code');
  });

  it('tells in a stack where the error was', () => {
    write("function f() { throw new Error('here'); }\nf();\n", BEFORE);
    rmSync(kept());
    const { stderr } = run(bundle);
    rehearse(bundle);
    assert.equal(/thing-svc\.js:1:\d+/.exec(run(bundle).stderr)?.[0], /thing-svc\.js:1:\d+/.exec(stderr)?.[0]);
  });

  it('names in a stack no folder where the bundle was before it came here', () => {
    write("function f() { console.log(new Error('here').stack); }\nf();\n", BEFORE);
    assert.equal(rehearse(bundle).status, 0);
    utimesSync(kept(), AFTER, AFTER);
    const moved = mkdtempSync(join(tmpdir(), 'berth-boot-'));
    try {
      cpSync(folder, moved, { recursive: true, preserveTimestamps: true });
      const { stdout } = run(join(moved, 'thing-svc.js'));
      assert.match(stdout, /at f \(thing-svc\.js:1:\d+\)/);
      assert.ok(!stdout.includes(folder), stdout);
    } finally {
      rmSync(moved, { recursive: true });
    }
  });
});
