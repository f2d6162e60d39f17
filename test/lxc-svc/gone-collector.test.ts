// When volumes of gone revisions are collected, and what goes on beside those that cannot be removed.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { createGoneCollector } from '../../services/lxc-svc/gone-collector.ts';
import { mount, unmount } from '../../shared/kernel/mount.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

const COLLECT_MS = 1_000;

describe('lxc-svc.goneCollector', () => {
  let folder: string;
  let said: string[];
  let told: (() => void) | undefined;
  let used: string[];
  let looks: number;
  let collect: ReturnType<typeof createGoneCollector>;

  const disk = (name: string) => ({ root: join(folder, name), isOurs: true });
  const make = (name: string, ...revisions: readonly string[]): void => {
    for (const revision of revisions) {
      const volume = join(folder, name, 'revision', revision, 'app/rows');
      mkdirSync(volume, { recursive: true });
      writeFileSync(join(volume, '1'), '');
    }
  };
  const left = (name: string): string[] => readdirSync(join(folder, name, 'revision')).sort();
  /** Until so many lines were said. */
  const lines = async (count: number): Promise<void> => {
    while (said.length < count) await new Promise<void>((resolve) => (told = resolve));
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-collector-'));
    mkdirSync(join(folder, 'storage/trails'), { recursive: true });
    [said, used, looks] = [[], [], 0];
    const hear = (text: string): void => {
      said.push(text.replaceAll(folder, ''));
      told?.();
    };
    const places = { rundir: join(folder, 'run'), storage: join(folder, 'storage'), tree: 'test' };
    const inUse = (): ReadonlySet<string> => {
      looks += 1;
      return new Set(used);
    };
    collect = createGoneCollector({ places, used: inUse }, { ...silentLogger, info: hear, warn: hear });
    mock.timers.enable({ apis: ['setTimeout'] });
  });
  afterEach(() => {
    mock.timers.reset();
    rmSync(folder, { recursive: true });
  });

  it('goes on beside what cannot be removed, on the same disk and the next, and warns of it once', async () => {
    make('first', '7', '8');
    make('second', '7');
    const stuck = join(folder, 'first/revision/7/app/rows/mounted');
    mkdirSync(stuck);
    mount('test', stuck, 'tmpfs', 0);
    try {
      collect([disk('first'), disk('second')]);
      mock.timers.tick(COLLECT_MS);
      await lines(3);
      assert.match(
        said[0] ?? '',
        /^\/first\/revision\/\.gone\.7, of a revision that is gone, cannot be removed: .*EBUSY/,
      );
      assert.deepEqual(said.slice(1), [
        'volumes of revision 8, which is gone, are removed',
        'volumes of revision 7, which is gone, are removed',
      ]);
      assert.deepEqual([left('first'), left('second')], [['.gone.7'], []]);
      // Once more of the same name, which is taken.
      make('first', '7');
      collect([disk('first')]);
      mock.timers.tick(COLLECT_MS);
      await lines(4);
      assert.deepEqual([said[3], left('first')], ['volumes of revision 7, which is gone, are removed', ['.gone.7']]);
    } finally {
      unmount(join(folder, 'first/revision/.gone.7/app/rows/mounted'));
    }
  });

  it('goes on with the next disk where a trail of one cannot be looked at', async () => {
    make('first', 'x');
    make('second', '7');
    rmSync(join(folder, 'first/revision/x'), { recursive: true });
    writeFileSync(join(folder, 'storage/trails/locals'), '');
    make('first', 'locals/x');
    collect([disk('first'), disk('second')]);
    mock.timers.tick(COLLECT_MS);
    await lines(2);
    assert.match(said[0] ?? '', /^volumes of revisions that are gone stay in \/first: .*ENOTDIR/);
    assert.equal(said[1], 'volumes of revision 7, which is gone, are removed');
  });

  it('never collects twice at a time, and looks at what was mounted meanwhile afterwards', async () => {
    make('first', ...Array.from({ length: 50 }, (_, at) => `${at}`));
    collect([disk('first')]);
    mock.timers.tick(COLLECT_MS);
    make('first', '100');
    make('second', '100');
    used = ['100'];
    collect([disk('first'), disk('second')]);
    // Nothing waits for the clock as long as the first goes on.
    mock.timers.tick(COLLECT_MS);
    await lines(50);
    assert.deepEqual([left('first'), left('second'), looks], [['100'], ['100'], 1]);
    used = [];
    await new Promise<void>((resolve) => setImmediate(resolve));
    mock.timers.tick(COLLECT_MS);
    await lines(52);
    assert.ok(!existsSync(join(folder, 'first/revision/100')) && !existsSync(join(folder, 'second/revision/100')));
  });
});
