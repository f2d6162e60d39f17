import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { afterEach, before, describe, it, mock } from 'node:test';
import fc from 'fast-check';
import { V8_FLAGS } from '../../shared/boot/v8-flags.ts';
import {
  BUSY_MS,
  type Collection,
  giveBackAtRest,
  look,
  QUIET_LOOKS,
  STARTED,
  YOUNG_LOOKS,
} from '../../shared/service/rest.ts';
import { bundled } from '../kit/bundled.ts';

const busy = fc.integer({ min: BUSY_MS + 1, max: 10_000 });
const quiet = fc.integer({ min: 0, max: BUSY_MS });

/** What is collected at which of the looks. */
function collections(spent: readonly number[]): readonly (readonly [number, Collection])[] {
  let rest = STARTED;
  return spent.flatMap((spentMs, index) => {
    const [next, collection] = look(rest, spentMs);
    rest = next;
    return collection === undefined ? [] : [[index, collection] as const];
  });
}

describe('rest.look', () => {
  it('collects twice after work, once it has been quiet for long enough, and then only what is young', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(busy, quiet)), busy, fc.array(quiet, { minLength: 10 }), (earlier, work, calm) => {
        const begin = earlier.length + 1;
        const own = collections([...earlier, work, ...calm]).filter(([index]) => index >= begin);
        const old = own.filter(([, collection]) => collection !== 'young').map(([index]) => index);
        assert.deepEqual(old, [begin + QUIET_LOOKS - 1, begin + QUIET_LOOKS]);
        const young = own.filter(([, collection]) => collection === 'young').map(([index]) => index - begin + 1);
        const due = calm.map((_, index) => index + 1).filter((quietLooks) => quietLooks % YOUNG_LOOKS === 0);
        assert.deepEqual(young, due);
      }),
    );
  });

  it('never collects at work', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(busy, quiet)), (spent) => {
        for (const [index] of collections(spent)) assert.ok((spent[index] ?? 0) <= BUSY_MS);
      }),
    );
  });

  it('lets go of compiled code after the start, and of garbage alone after later work', () => {
    const calm = Array.from({ length: 5 }, () => 0);
    assert.deepEqual(
      collections([...calm, BUSY_MS + 1, ...calm]).map(([, collection]) => collection),
      ['code', 'code', 'garbage', 'garbage'],
    );
  });
});

describe('rest.giveBackAtRest', () => {
  afterEach(() => {
    mock.timers.reset();
    mock.restoreAll();
    Reflect.deleteProperty(globalThis, 'gc');
  });

  it('collects and gives back twice once the process has been quiet, and nothing after its stop', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    let spentMs = 0;
    mock.method(process, 'cpuUsage', (before?: NodeJS.CpuUsage) => ({
      user: spentMs * 1_000 - (before?.user ?? 0),
      system: 0,
    }));
    const collections = { major: 0, minor: 0 };
    Reflect.set(globalThis, 'gc', (how: unknown) => {
      const isYoung = typeof how === 'object' && how !== null && Reflect.get(how, 'type') === 'minor';
      collections[isYoung ? 'minor' : 'major'] += 1;
    });
    let trims = 0;
    const stop = giveBackAtRest(() => {
      trims += 1;
    });
    const looks = (count: number): void => {
      for (let look = 0; look < count; look += 1) mock.timers.runAll();
    };
    const given = (): readonly number[] => [collections.major, trims];
    looks(1);
    assert.deepEqual(given(), [0, 0]);
    looks(5);
    assert.deepEqual(given(), [2, 2]);
    spentMs += BUSY_MS + 1;
    looks(2);
    assert.deepEqual(given(), [2, 2]);
    looks(5);
    assert.deepEqual(given(), [4, 4]);
    spentMs += BUSY_MS + 1;
    looks(1);
    assert.equal(collections.minor, 2);
    stop();
    looks(YOUNG_LOOKS);
    assert.deepEqual([...given(), collections.minor], [4, 4, 2]);
  });
});

// What is compiled, for a start of many functions; then whether V8 still takes code that was compiled before.
const PROGRAM = `
  const { getHeapCodeStatistics, getHeapSpaceStatistics } = require('node:v8');
  const { Script } = require('node:vm');
  const { collect } = require(process.argv[1]);
  const source = Array.from({ length: 500 }, (_, n) => 'function f' + n + '(a) { return [a, a + ' + n + '].map(String).join() }; f' + n + '(1);').join('');
  const cachedData = new Script(source).createCachedData();
  const compiled = () => getHeapCodeStatistics().bytecode_and_metadata_size;
  const run = new Script(source, { filename: 'many.js' });
  run.runInThisContext();
  const before = compiled();
  collect('garbage');
  const kept = compiled() > before / 2;
  collect('code');
  collect('code');
  const after = compiled();
  const young = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_used_size;
  collect('young');
  for (let n = 0; n < 2_000; n += 1) String(n).repeat(2).split('');
  const filled = young();
  collect('young');
  const emptied = young() < filled / 2;
  const refused = new Script(source, { filename: 'again.js', cachedData }).cachedDataRejected;
  console.log(JSON.stringify({ kept, gone: after < before / 2, emptied, works: f499(1), refused, exposed: typeof gc }));`;

describe('rest.collect', () => {
  let rest = '';
  before(async () => {
    rest = await bundled('shared/service/rest.ts');
  });
  const run = (...flags: readonly string[]): unknown => {
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, '-e', PROGRAM, rest], {
      encoding: 'utf8',
      // What counts the lines that run keeps all that was compiled.
      env: { PATH: process.env.PATH, NODE_V8_COVERAGE: '' },
    });
    assert.equal(stderr, '');
    return JSON.parse(stdout);
  };

  it('lets go of compiled code, which is compiled again when it is used, and leaves the flags of V8 as they were', () => {
    assert.deepEqual(run(), {
      kept: true,
      gone: true,
      emptied: true,
      works: '1,500',
      refused: false,
      exposed: 'undefined',
    });
  });

  it('does so in a service, which is started with a collector', () => {
    assert.deepEqual(run(...V8_FLAGS), {
      kept: true,
      gone: true,
      emptied: true,
      works: '1,500',
      refused: false,
      exposed: 'function',
    });
  });
});
