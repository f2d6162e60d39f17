// A reboot is carried out a few times for the same cause, and then no more, also when the count has to survive the reboots.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import {
  decideReboot,
  MAX_REBOOTS,
  type PastReboot,
  REBOOT_WINDOW_MS,
} from '../../services/supervisor/reboot-policy.ts';
import { createReboots } from '../../services/supervisor/reboots.ts';
import { silentLogger } from '../../shared/log/logger.ts';

const cause = { code: 'REVISION_REFUSED', message: 'unknown pool' };

describe('supervisor.reboot-policy', () => {
  it('allows no more than its maximum for one code in any window', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(REBOOT_WINDOW_MS), fc.constantFrom('A', 'B')), { maxLength: 60 }),
        (asks) => {
          let past: readonly PastReboot[] = [];
          let now = 1_000_000;
          const allowed: { code: string; atMs: number }[] = [];
          for (const [gap, code] of asks) {
            now += gap;
            const decision = decideReboot(past, { code, message: '' }, now);
            past = decision.past;
            if (decision.allowed) allowed.push({ code, atMs: now });
            const recent = allowed.filter((each) => each.code === code && now - each.atMs < REBOOT_WINDOW_MS);
            assert.ok(recent.length <= MAX_REBOOTS);
          }
        },
      ),
    );
  });

  it('counts reboots of a device that takes minutes for each as one row', () => {
    let past: readonly PastReboot[] = [];
    const allowed = [0, 1, 2, 3, 4].map((turn) => {
      const decision = decideReboot(past, cause, turn * (REBOOT_WINDOW_MS - 1));
      past = decision.past;
      return decision.allowed;
    });
    assert.deepEqual(allowed, [true, true, true, false, true], 'the last one comes after it has stayed up');
  });

  it('counts reboots for a system container that lives for hours each time as one row', () => {
    const down = { code: 'SYSTEM_CONTAINER_DOWN', message: 'container base: its init exited with code 1' };
    let past: readonly PastReboot[] = [];
    const allowed = [0, 1, 2, 3, 4].map((turn) => {
      const decision = decideReboot(past, down, turn * (24 * 3_600_000 - 1));
      past = decision.past;
      return decision.allowed;
    });
    assert.deepEqual(allowed, [true, true, true, false, true], 'the last one comes after it has stayed down for a day');
    assert.equal(decideReboot(past, cause, 0).past.length, past.length + 1, 'other causes forget none of them');
  });

  it('counts a row over a clock that is set in the middle of it', () => {
    const past = [100, 9_000_000_000_000, 200].map((atMs) => ({ ...cause, atMs }));
    assert.equal(decideReboot(past, cause, 300).allowed, false);
  });

  it('counts a reboot from a clock that was ahead', () => {
    const ahead = Array.from({ length: MAX_REBOOTS }, () => ({ ...cause, atMs: 9_000_000_000_000 }));
    assert.equal(decideReboot(ahead, cause, 0).allowed, false);
  });
});

describe('supervisor.reboots', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-reboots-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('counts over restarts of the supervisor, then stays up and says why', async () => {
    const path = join(folder, 'reboots.json');
    for (let count = 0; count < MAX_REBOOTS; count += 1) {
      const reboots = createReboots(path, silentLogger);
      assert.equal(reboots.ask(cause), true);
      assert.deepEqual(await reboots.asked, { ...cause, off: false });
      assert.deepEqual(reboots.health(), []);
    }
    const wanted = createReboots(path, silentLogger);
    assert.equal(wanted.ask(cause, false), true, 'somebody asked for it');
    assert.equal((await wanted.asked).code, cause.code);
    const last = createReboots(path, silentLogger);
    assert.equal(last.ask(cause), false);
    const [reason] = last.health();
    assert.equal(reason?.code, 'REBOOT_LOOP');
    assert.match(reason?.message ?? '', /unknown pool/);
    assert.equal(last.ask({ code: 'OTHER', message: '' }), true, 'another cause has a count of its own');
  });

  it('counts one for all who ask for the same reboot', async () => {
    const path = join(folder, 'together.json');
    for (let count = 0; count < MAX_REBOOTS; count += 1) {
      const reboots = createReboots(path, silentLogger);
      for (const name of ['a', 'b', 'c']) assert.equal(reboots.ask({ ...cause, message: name }), true, name);
      assert.equal((await reboots.asked).message, 'a');
      assert.deepEqual(reboots.health(), []);
    }
    assert.equal(createReboots(path, silentLogger).ask(cause), false);
  });

  it('counts none for who asks once the tree ends anyhow', () => {
    const path = join(folder, 'ending.json');
    for (const end of ['powerOff', 'treeEnds'] as const) {
      const reboots = createReboots(path, silentLogger);
      reboots[end]('bye');
      assert.equal(reboots.ask(cause), true);
    }
    assert.equal(existsSync(path), false);
  });

  it('reboots when its record is damaged, and starts a new one', () => {
    const path = join(folder, 'damaged.json');
    writeFileSync(path, '{');
    for (let count = 0; count < MAX_REBOOTS; count += 1)
      assert.equal(createReboots(path, silentLogger).ask(cause), true);
    assert.equal(createReboots(path, silentLogger).ask(cause), false);
  });

  it('does not reboot when it cannot count', () => {
    const reboots = createReboots(join(folder, 'no-such-folder/reboots.json'), silentLogger);
    assert.equal(reboots.ask(cause), false);
    const [reason] = reboots.health();
    assert.equal(reason?.code, 'REBOOT_LOOP');
    assert.match(reason.message, /cannot be counted: .*ENOENT.*staying up; the cause: unknown pool/);
    assert.doesNotMatch(reason.message, /rebooted/);
  });

  for (const [code, windowMs] of [
    ['REVISION_REFUSED', REBOOT_WINDOW_MS],
    ['SYSTEM_CONTAINER_DOWN', 24 * 3_600_000],
  ] as const) {
    it(`says why it stays up for as long as it would, and then no more: ${code}`, () => {
      const path = join(folder, `past-${code}.json`);
      const asked = { ...cause, code };
      for (let count = 0; count < MAX_REBOOTS; count += 1) createReboots(path, silentLogger).ask(asked);
      let nowMs = 0;
      const reboots = createReboots(path, silentLogger, () => nowMs);
      assert.equal(reboots.ask(asked), false);
      nowMs = windowMs - 1;
      assert.equal(reboots.health().length, 1);
      nowMs = windowMs;
      assert.deepEqual(reboots.health(), []);
    });
  }
});
