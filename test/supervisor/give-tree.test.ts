// Whoever is given a folder puts links to a file of root's in the place of what is being looked at: that stays root's.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { atOnce, type Giving, giveTree, inTurns, STEPS_A_TURN } from '../../services/supervisor/give-tree.ts';

const OWNER = 4321;

describe('supervisor.give-tree', () => {
  let folder = '';
  let given = '';
  let outside = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-give-'));
    [given, outside] = [join(folder, 'given'), join(folder, 'outside')];
    for (const each of [join(given, 'inner'), outside]) {
      mkdirSync(each, { recursive: true });
      writeFileSync(join(each, 'file'), '');
    }
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const uidsOf = (...paths: readonly string[]): number[] => paths.map((path) => statSync(path).uid);
  /** `look` is called whenever it is asked to whom all is given, which is before and after each look at something. */
  const giveWhile = (look: () => void, others: Giving['others'] = new Set()): void =>
    atOnce(
      giveTree(given, {
        get uid() {
          look();
          return OWNER;
        },
        isRead: false,
        others,
        leave: () => undefined,
      }),
    );
  const swap = (path: string, target: string): void => {
    renameSync(path, join(folder, 'moved'));
    symlinkSync(target, path);
  };

  for (let turn = 1; turn <= 12; turn += 1) {
    it(`gives nothing by a link that comes in the place of a file, turn ${turn}`, () => {
      let looks = 0;
      giveWhile(() => {
        looks += 1;
        if (looks === turn) swap(join(given, 'inner/file'), join(outside, 'file'));
      });
      assert.deepEqual(uidsOf(join(outside, 'file'), outside), [0, 0]);
    });

    it(`gives nothing by a link that comes in the place of a folder, turn ${turn}`, () => {
      let looks = 0;
      giveWhile(() => {
        looks += 1;
        if (looks === turn) swap(join(given, 'inner'), outside);
      });
      assert.deepEqual(uidsOf(join(outside, 'file'), outside), [0, 0]);
    });
  }

  it('lets others have their turn in between, so that heartbeats come', async () => {
    const files = 20 * STEPS_A_TURN;
    for (let at = 0; at < files; at += 1) writeFileSync(join(given, String(at)), '');
    let looks = 0;
    let mostLooks = 0;
    let turns = 0;
    let before = 0;
    let isDone = false;
    const turn = (): void => {
      turns += 1;
      mostLooks = Math.max(mostLooks, looks - before);
      before = looks;
      if (!isDone) setImmediate(turn);
    };
    setImmediate(turn);
    const walk = giveTree(given, {
      get uid() {
        looks += 1;
        return OWNER;
      },
      isRead: false,
      others: new Set(),
      leave: () => assert.fail(),
    });
    await inTurns(walk);
    isDone = true;
    assert.ok(turns >= 19, `${turns} turns`);
    // To whom is asked before and after each look, and to give.
    assert.ok(mostLooks <= 8 * STEPS_A_TURN, `${mostLooks} looks in one turn, of ${looks}`);
    assert.deepEqual(uidsOf(given, join(given, '0'), join(given, String(files - 1))), [OWNER, OWNER, OWNER]);
  });

  it('gives all of it where nobody meddles', () => {
    giveWhile(() => undefined);
    assert.deepEqual(uidsOf(given, join(given, 'inner'), join(given, 'inner/file')), [OWNER, OWNER, OWNER]);
  });
});
