// A reboot is carried out a few times for the same cause, and then no more, also when the count has to survive the reboots.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import {
  decideReboot,
  MAX_REBOOTS,
  type PastReboot,
  REBOOT_WINDOW_MS,
  type RebootCause,
  type RebootTimes,
} from '../../services/supervisor/reboot-policy.ts';
import { createReboots } from '../../services/supervisor/reboots.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { createTestClock, type TestClock } from '../state-svc/test-clock.ts';

const cause = { code: 'REVISION_REFUSED', message: 'unknown pool' };
const down = { code: 'SYSTEM_CONTAINER_DOWN', message: 'container base: its init exited with code 1' };
const COUNTED = { kind: 'counted' };
const LOOPED = { kind: 'looped' };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** The tree has just come up. */
const at = (nowMs: number): RebootTimes => ({ nowMs, quietMs: 0 });

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
            const decision = decideReboot(past, { code, message: '' }, at(now));
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
      const decision = decideReboot(past, cause, at(turn * (REBOOT_WINDOW_MS - 1)));
      past = decision.past;
      return decision.allowed;
    });
    assert.deepEqual(allowed, [true, true, true, false, true], 'the last one comes after it has stayed up');
  });

  it('counts reboots for a system container that lives for hours each time as one row', () => {
    let past: readonly PastReboot[] = [];
    const allowed = [0, 1, 2, 3, 4].map((turn) => {
      const decision = decideReboot(past, down, at(turn * (DAY_MS - 1)));
      past = decision.past;
      return decision.allowed;
    });
    assert.deepEqual(allowed, [true, true, true, false, true], 'the last one comes after it has stayed down for a day');
    assert.equal(decideReboot(past, cause, at(0)).past.length, past.length + 1, 'other causes forget none of them');
  });

  it('counts a row over a clock that is set in the middle of it', () => {
    const past = [100, 9_000_000_000_000, 200].map((atMs) => ({ ...cause, atMs }));
    assert.equal(decideReboot(past, cause, at(300)).allowed, false);
  });

  it('counts a reboot from a clock that was ahead', () => {
    const ahead = Array.from({ length: MAX_REBOOTS }, () => ({ ...cause, atMs: 9_000_000_000_000 }));
    assert.equal(decideReboot(ahead, cause, at(0)).allowed, false);
  });

  it('ends a row by a clock that nobody sets, whatever the other one says', () => {
    const ahead = Array.from({ length: MAX_REBOOTS }, () => ({ ...cause, atMs: 9_000_000_000_000 }));
    assert.equal(decideReboot(ahead, cause, { nowMs: 0, quietMs: REBOOT_WINDOW_MS - 1 }).allowed, false);
    const { allowed, past } = decideReboot(ahead, cause, { nowMs: 0, quietMs: REBOOT_WINDOW_MS });
    assert.deepEqual([allowed, past.length], [true, 1]);
  });

  it('keeps in a row what came after the pause that ended it, at the earliest', () => {
    const past = [9_000_000_000_000, 0, 0].map((atMs) => ({ ...cause, atMs }));
    const decision = decideReboot(past, cause, at(9_000_000_000_000 + past.length * REBOOT_WINDOW_MS));
    assert.deepEqual([decision.allowed, decision.past.length], [true, MAX_REBOOTS]);
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
      assert.deepEqual(reboots.ask(cause), COUNTED);
      assert.deepEqual(await reboots.asked, { ...cause, off: false });
      assert.deepEqual(reboots.health(), []);
    }
    const wanted = createReboots(path, silentLogger);
    assert.deepEqual(wanted.ask(cause, false), COUNTED, 'somebody asked for it');
    assert.equal((await wanted.asked).code, cause.code);
    const last = createReboots(path, silentLogger);
    assert.deepEqual(last.ask(cause), LOOPED);
    const [reason] = last.health();
    assert.equal(reason?.code, 'REBOOT_LOOP');
    assert.match(reason?.message ?? '', /unknown pool/);
    assert.deepEqual(last.ask({ code: 'OTHER', message: '' }), COUNTED, 'another cause has a count of its own');
  });

  it('counts one for all who ask for the same reboot', async () => {
    const path = join(folder, 'together.json');
    for (let count = 0; count < MAX_REBOOTS; count += 1) {
      const reboots = createReboots(path, silentLogger);
      for (const name of ['a', 'b', 'c']) assert.deepEqual(reboots.ask({ ...cause, message: name }), COUNTED, name);
      assert.equal((await reboots.asked).message, 'a');
      assert.deepEqual(reboots.health(), []);
    }
    assert.deepEqual(createReboots(path, silentLogger).ask(cause), LOOPED);
  });

  it('counts none for who asks once the tree ends anyhow', () => {
    const path = join(folder, 'ending.json');
    for (const end of ['powerOff', 'treeEnds'] as const) {
      const reboots = createReboots(path, silentLogger);
      reboots[end]('bye');
      assert.deepEqual(reboots.ask(cause), COUNTED);
    }
    assert.equal(existsSync(path), false);
  });

  it('reboots when its record is damaged, and starts a new one', () => {
    const path = join(folder, 'damaged.json');
    writeFileSync(path, '{');
    for (let count = 0; count < MAX_REBOOTS; count += 1)
      assert.deepEqual(createReboots(path, silentLogger).ask(cause), COUNTED);
    assert.deepEqual(createReboots(path, silentLogger).ask(cause), LOOPED);
  });

  it('does not reboot while it cannot count, says so as long as somebody asks, and leaves nothing behind', () => {
    const path = join(folder, 'away/reboots.json');
    const clock = createTestClock();
    const told: string[] = [];
    const log = { ...silentLogger, error: (message: string) => void told.push(message) };
    const reboots = createReboots(path, log, clock);
    for (let time = 0; time < 3; time += 1) {
      assert.equal(reboots.ask(cause).kind, 'uncounted');
      assert.equal(reboots.count(down).kind, 'uncounted');
      clock.advance(5_000);
    }
    assert.equal(told.length, 2, told.join());
    const reasons = reboots.health();
    assert.deepEqual(
      reasons.map(({ code, subject }) => [code, subject]),
      [cause, down].map(({ code }) => ['REBOOT_LOOP', code]),
    );
    const [{ message = '' } = {}] = reasons;
    assert.match(message, /cannot be counted: .*ENOENT.*staying up; the cause: unknown pool/);
    assert.doesNotMatch(message, /rebooted/);
    clock.advance(MINUTE_MS);
    assert.deepEqual(reboots.health(), []);
    // As a disk from which space runs out in the middle: what was written is in nobody's way.
    mkdirSync(path, { recursive: true });
    assert.equal(reboots.ask(cause).kind, 'uncounted');
    assert.deepEqual(readdirSync(dirname(path)), ['reboots.json']);
    rmdirSync(path);
    assert.deepEqual(reboots.ask(cause), COUNTED);
    assert.deepEqual(reboots.health(), []);
  });

  for (const [code, windowMs] of [
    ['REVISION_REFUSED', REBOOT_WINDOW_MS],
    ['SYSTEM_CONTAINER_DOWN', DAY_MS],
  ] as const) {
    it(`says why it stays up for as long as it would, and then no more: ${code}`, () => {
      const path = join(folder, `past-${code}.json`);
      const asked = { ...cause, code };
      for (let count = 0; count < MAX_REBOOTS; count += 1) createReboots(path, silentLogger).ask(asked);
      const clock = createTestClock(Date.now());
      const reboots = createReboots(path, silentLogger, clock);
      assert.deepEqual(reboots.ask(asked), LOOPED);
      clock.advance(windowMs - 1);
      assert.equal(reboots.health().length, 1);
      clock.advance(1);
      assert.deepEqual(reboots.health(), []);
    });
  }
});

describe('supervisor.reboots on a board whose clock starts in the past at each boot', () => {
  const TODAY_MS = 1_800_000_000_000;
  let path = '';
  before(() => {
    path = join(mkdtempSync(join(tmpdir(), 'berth-reboots-')), 'reboots.json');
  });
  beforeEach(() => rmSync(path, { force: true }));
  after(() => rmSync(dirname(path), { recursive: true, force: true }));

  /** A boot: as long as `live` says, and then, or in the middle of it, whatever it does. */
  const boot = (live: (clock: TestClock, ask: (cause: RebootCause) => boolean) => void, startMs = 0): void => {
    const clock = createTestClock(startMs);
    const reboots = createReboots(path, silentLogger, clock);
    live(clock, (cause) => reboots.ask(cause).kind === 'counted');
    reboots.treeEnds();
  };

  it('never stops to reboot for what comes months apart, right after the boot', () => {
    const answers: boolean[] = [];
    for (let time = 0; time < 8; time += 1) {
      boot((clock, ask) => {
        clock.advance(5 * MINUTE_MS);
        answers.push(ask(cause));
      });
      // Somebody switches it off in the end.
      boot((clock) => clock.advance(60 * DAY_MS));
    }
    assert.deepEqual(answers, Array(8).fill(true));
  });

  it('never stops to reboot for a system container that lives for a month each time', () => {
    const answers: boolean[] = [];
    for (let time = 0; time < 8; time += 1) {
      boot((clock, ask) => {
        clock.advance((29.5 + (time % 2) / 2) * DAY_MS);
        answers.push(ask(down));
      });
    }
    assert.deepEqual(answers, Array(8).fill(true));
  });

  for (const [startMs, what] of [
    [0, '1970'],
    [TODAY_MS - 400 * DAY_MS, 'the year of its system'],
  ] as const) {
    it(`stops to reboot in a row where the clock is set now before and now after the cause, from ${what}`, () => {
      const answers: boolean[] = [];
      let passedMs = 0;
      for (let time = 0; time < 12; time += 1) {
        boot((clock, ask) => {
          clock.advance(9 * MINUTE_MS);
          passedMs += 9 * MINUTE_MS;
          if (time % 2 === 1) clock.jump(TODAY_MS + passedMs - clock.nowMs());
          answers.push(ask(cause));
        }, startMs);
      }
      // Once, at the first time that is right, it looks as if there had been none for long.
      const refused = answers.indexOf(false);
      assert.ok(refused > 0 && refused <= MAX_REBOOTS + 1, answers.join());
    });
  }

  it('remembers the row for the next boot where it had not been up for long enough', () => {
    for (let count = 0; count < MAX_REBOOTS; count += 1) boot((_clock, ask) => assert.ok(ask(cause)));
    boot((clock) => clock.advance(REBOOT_WINDOW_MS - 1));
    boot((_clock, ask) => assert.equal(ask(cause), false));
    boot((clock) => clock.advance(REBOOT_WINDOW_MS));
    boot((_clock, ask) => assert.ok(ask(cause)));
  });

  it('leaves to the next tree what it has counted, however long it takes to end', () => {
    for (let count = 0; count < MAX_REBOOTS; count += 1) {
      boot((clock, ask) => {
        assert.ok(ask(cause));
        clock.advance(2 * REBOOT_WINDOW_MS);
      });
    }
    boot((_clock, ask) => assert.equal(ask(cause), false));
  });

  it('forgets one that did not come, however late it was counted', () => {
    const clock = createTestClock(0);
    const reboots = createReboots(path, silentLogger, clock);
    clock.advance(3 * REBOOT_WINDOW_MS);
    assert.deepEqual(reboots.count(cause), COUNTED);
    clock.advance(REBOOT_WINDOW_MS);
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), []);
  });

  it('counts one that did not come from when it was asked for', () => {
    const clock = createTestClock(0);
    const reboots = createReboots(path, silentLogger, clock);
    const counts: boolean[] = [];
    for (let count = 0; count <= MAX_REBOOTS; count += 1) {
      clock.advance(REBOOT_WINDOW_MS - 1);
      counts.push(reboots.count(cause).kind === 'counted');
    }
    assert.deepEqual(counts, [true, true, true, false]);
    clock.advance(1);
    assert.deepEqual(reboots.count(cause), COUNTED);
  });

  it('has them forgotten once the disk takes that', () => {
    writeFileSync(path, JSON.stringify(Array(MAX_REBOOTS).fill({ ...cause, atMs: 0 })));
    boot((clock) => {
      // In the way of what is written beside it.
      mkdirSync(`${path}.new`);
      clock.advance(REBOOT_WINDOW_MS);
      rmdirSync(`${path}.new`);
      clock.advance(REBOOT_WINDOW_MS);
    });
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), []);
  });
});
