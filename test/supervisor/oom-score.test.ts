import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { comeLast, LAST } from '../../services/supervisor/oom-score.ts';

describe('supervisor.comeLast', () => {
  let folder = '';
  let score = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-score-'));
    score = join(folder, 'oom_score_adj');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  for (const [before, after] of [
    ['0\n', `${LAST}\n`],
    ['300\n', `${LAST}\n`],
    ['-1000\n', '-1000\n'],
  ] as const) {
    it(`makes ${before.trim()} ${after.trim()}`, () => {
      writeFileSync(score, before);
      comeLast(score);
      assert.equal(readFileSync(score, 'utf8'), after);
    });
  }

  it('leaves it where it may not be set', () => {
    comeLast(join(score, 'no folder'));
    assert.equal(existsSync(score), false);
  });
});
