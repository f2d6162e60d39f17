// What a revision that cannot run leads to: a reboot, a few times, then a device that stays up and says why.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { MAX_REBOOTS } from '../../services/supervisor/reboot-policy.ts';
import { ask, healthAnswer } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

/** A storage whose revision names a pool that nobody has. */
function refusedStorage(): string {
  const storage = packExample('01-basic');
  const path = join(storage, 'trails/0/.pvr/json');
  const state = readFileSync(path, 'utf8').replace('"pool":"internal"', '"pool":"does-not-exist"');
  // The file may be linked to an object.
  rmSync(path);
  writeFileSync(path, state.replace('"pool": "internal"', '"pool": "does-not-exist"'));
  return storage;
}

const count = (text: string, part: string): number => text.split(part).length - 1;

describe('integration.reboot', () => {
  let tree: Tree | undefined;
  afterEach(async () => {
    await tree?.close();
    tree = undefined;
  });

  it('starts over in appengine mode, then stays up with the control socket open', async () => {
    const opened = await openTree(refusedStorage());
    tree = opened;
    opened.start();
    const health = await eventually('REBOOT_LOOP in /health', PATIENCE_MS, async () => {
      const answer = await ask(opened.socket, 'GET', '/health').catch(() => undefined);
      if (answer?.status !== 503) return undefined;
      const parsed = healthAnswer.parse(JSON.parse(answer.body));
      return parsed.reasons.some(({ code }) => code === 'REBOOT_LOOP') ? parsed : undefined;
    });
    assert.ok(health.reasons.some(({ message }) => message.includes("unknown pool 'does-not-exist'")));
    assert.equal(count(opened.output(), 'berth: starting over'), MAX_REBOOTS);
    assert.equal((await ask(opened.socket, 'GET', '/containers')).status, 200);
  });

  it('asks the init for a reboot in embedded mode', async () => {
    const opened = await openTree(refusedStorage());
    tree = opened;
    // First in the path of every command that Berth runs, and private to the sandbox.
    const fake =
      'mount -t tmpfs tmpfs /usr/local/sbin && printf "#!/bin/sh\\necho asked > /run/rebooted\\n" > /usr/local/sbin/reboot && chmod +x /usr/local/sbin/reboot';
    assert.equal(opened.inside(['sh', '-c', fake]).status, 0);
    opened.start(['--mode', 'embedded']);
    assert.equal(await opened.ended(), 0);
    assert.equal(opened.inside(['cat', '/run/rebooted']).stdout, 'asked\n');
  });
});
