import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { openDesiredState } from '../../services/net-svc/desired-state.ts';
import { internal, leaseOf } from './kernel.ts';

const dir = mkdtempSync(join(tmpdir(), 'desired-'));
const path = join(dir, '.desired.json');
after(() => rmSync(dir, { recursive: true }));
beforeEach(() => rmSync(path, { force: true }));

describe('what net-svc was asked for', () => {
  it('is known to the next one', () => {
    const first = openDesiredState(path, assert.fail);
    const leases = [leaseOf(internal, 'web', 2)];
    first.setPools([internal]);
    first.setAttachment('web', leases);
    first.setAttachment('gone', leases);
    first.dropAttachment('gone');
    const second = openDesiredState(path, assert.fail);
    assert.deepEqual(second.pools, [internal]);
    assert.deepEqual([...second.attachments], [['web', leases]]);
  });

  it('leaves no file when it is nothing', () => {
    const state = openDesiredState(path, assert.fail);
    state.setPools([internal]);
    assert.ok(existsSync(path));
    state.setPools([]);
    assert.ok(!existsSync(path));
  });

  it('of another boot counts for nothing', () => {
    openDesiredState(path, assert.fail).setPools([internal]);
    const document = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...document, boot: 'another' }));
    assert.deepEqual(openDesiredState(path, assert.fail).pools, []);
  });

  it('is reported and not used when it is damaged', () => {
    for (const text of ['', '{', '{"boot":1}', '[]']) {
      writeFileSync(path, text);
      const reasons: string[] = [];
      assert.deepEqual(openDesiredState(path, (reason) => reasons.push(reason)).pools, []);
      assert.match(reasons.join(), /desired\.json is damaged/);
    }
  });
});
