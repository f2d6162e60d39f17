import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createBoot } from '../../services/state-svc/boot.ts';
import type { Container } from '../../services/state-svc/container.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import type { Status } from '../../shared/schema/api.ts';
import { createTestClock } from './test-clock.ts';

/** What a boot sees of a container, and how often it was told to start. */
function newContainer(name: string, status: Status) {
  const seen = { status, starting: false, tried: status !== 'INSTALLED', userStopped: false, boots: 0 };
  const rest = { plan: { name, group: 'app', statusGoal: 'STARTED' }, goal: 'STARTED' } as const;
  const boot = (): void => {
    Object.assign(seen, { starting: true, tried: true });
    seen.boots += 1;
  };
  return Object.assign(seen, rest, { boot }) as unknown as Container & typeof seen;
}

function open(...containers: readonly Container[]) {
  const revision = { groups: [{ name: 'app', timeoutSeconds: 30 }] } as unknown as Parameters<typeof createBoot>[0];
  const context = {
    clock: createTestClock(),
    log: silentLogger,
    limit: 1,
    goalsTimeoutMs: 0,
    onMissed: () => undefined,
  };
  const boot = createBoot(revision, containers, context);
  boot.open();
  return boot;
}

describe('the turns of a boot', () => {
  it('come when a start is over that has changed nothing else, also one that the user asked for meanwhile', () => {
    const [a, b] = [newContainer('a', 'STOPPED'), newContainer('b', 'INSTALLED')];
    a.starting = true;
    const boot = open(a, b);
    assert.equal(b.boots, 0);
    a.starting = false;
    boot.look(a);
    assert.equal(b.boots, 1);
    b.starting = false;
    b.status = 'STOPPED';
    const c = newContainer('c', 'INSTALLED');
    const next = open(a, c);
    assert.equal(c.boots, 1);
    next.look(a);
    assert.equal(c.boots, 1);
  });

  it('are not lost to whoever asks for reasons between the end of a start and the word of it', () => {
    const [a, b] = [newContainer('a', 'STOPPED'), newContainer('b', 'INSTALLED')];
    a.starting = true;
    const boot = open(a, b);
    a.starting = false;
    boot.reasons();
    boot.look(a);
    assert.equal(b.boots, 1);
  });

  it('are not lost to a start that was seen under way between two changes alike', () => {
    const [a, b, c] = [newContainer('a', 'STOPPED'), newContainer('b', 'INSTALLED'), newContainer('c', 'INSTALLED')];
    const boot = open(a, b, c);
    assert.deepEqual([b.boots, c.boots], [1, 0]);
    // Told of before it is under way.
    boot.look(a);
    a.starting = true;
    Object.assign(b, { status: 'STARTED', starting: false });
    boot.look(b);
    assert.equal(c.boots, 0);
    a.starting = false;
    boot.look(a);
    assert.equal(c.boots, 1);
  });
});
