// One service under supervision, with processes that exist on paper only: what is told of its ends, and that it always comes back.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { afterEach, describe, it, mock } from 'node:test';
import { ipamContract } from '../../services/ipam-svc/contract.ts';
import { isStopped } from '../../services/supervisor/process-record.ts';
import type { ProcessEnd } from '../../services/supervisor/spawn-service.ts';
import { createSupervisedService, type SupervisedService } from '../../services/supervisor/supervised-service.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually } from '../kit/eventually.ts';

const PATIENCE_MS = 20_000;
const KILLED: ProcessEnd = { code: null, signal: 'SIGKILL' };

/** `spawnFails`: how many starts throw before one works. `pid`: of a process that there is. */
function supervised(spawnFails = 0, pid?: number) {
  let kills = 0;
  const states: string[] = [];
  let failing = spawnFails;
  let spawned = 0;
  let end: (end: ProcessEnd) => void = () => undefined;
  let wake: () => void = () => undefined;
  const service: SupervisedService = createSupervisedService(ipamContract, {
    log: silentLogger,
    spawn(onEnd) {
      spawned += 1;
      setImmediate(() => wake());
      if (failing > 0) {
        failing -= 1;
        throw new Error('spawn ENOMEM');
      }
      end = onEnd;
      return {
        pid: pid ?? 2 ** 22 + spawned,
        brokerFd: -1,
        kill() {
          kills += 1;
        },
        lastWords: () => 'bye',
      };
    },
    connect: () => undefined,
    disconnect: () => undefined,
    announce: (state, reason) => states.push(`${state} ${reason}`.trim()),
  });
  return {
    service,
    states,
    ends: (how: ProcessEnd) => end(how),
    spawned: () => spawned,
    kills: () => kills,
    untilSpawned: async (count: number): Promise<void> => {
      while (spawned < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

describe('supervisor.supervised-service', () => {
  let subject: ReturnType<typeof supervised> | undefined;
  const open = (spawnFails?: number, pid?: number) => {
    subject = supervised(spawnFails, pid);
    subject.service.start();
    return subject;
  };
  afterEach(async () => {
    mock.timers.reset();
    const stopped = subject?.service.stop();
    subject?.ends(KILLED);
    await stopped;
  });

  it('tries again when a process could not be made for want of memory or descriptors', async () => {
    const one = open(2);
    await one.untilSpawned(3);
    assert.equal(one.service.state, 'starting');
    assert.equal(one.service.restarts, 2);
    assert.equal(one.service.lastExit?.reason, 'could not be started');
    assert.match(one.service.lastExit?.lastWords ?? '', /ENOMEM/);
  });

  it('tells the signal that ended it, also when its connection broke first', () => {
    const one = open();
    one.service.onReady();
    one.service.onGone('read ECONNRESET');
    one.ends(KILLED);
    assert.equal(one.service.lastExit?.reason, 'killed by SIGKILL, disconnected: read ECONNRESET');
    assert.equal(one.service.lastExit?.lastWords, 'bye');
  });

  it('counts its uptime by a clock that nobody sets', async () => {
    mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_000 });
    const one = open();
    one.service.onReady();
    mock.timers.setTime(0);
    assert.ok((one.service.upMs ?? -1) >= 0 && (one.service.upMs ?? 0) < 60_000, String(one.service.upMs));
  });

  it('ends for everybody who waits for it', async () => {
    const one = open();
    const both = Promise.all([one.service.stop(), one.service.stop()]);
    one.ends(KILLED);
    await both;
    assert.equal(one.service.state, 'stopped');
  });

  it('comes back when it is told to start before it has ended, and its end is told to who waits for it', async () => {
    const one = open();
    one.service.onReady();
    const stopped = one.service.stop();
    one.service.start();
    assert.equal(one.service.state, 'renewing');
    one.ends({ code: 0, signal: null });
    await stopped;
    await one.untilSpawned(2);
    one.service.onReady();
    assert.deepEqual([one.service.state, one.service.restarts], ['ready', 0]);
  });

  it('starts anew at once, however often it is given more to inherit: these are no failures', async () => {
    const one = open();
    for (let count = 2; count < 12; count += 1) {
      if (count > 3) one.service.onReady();
      one.service.renew('more sockets of containers are needed');
      assert.equal(one.kills(), count - 1);
      one.ends(KILLED);
      assert.equal(one.spawned(), count);
    }
    assert.deepEqual([one.service.state, one.service.restarts, one.service.degraded], ['starting', 0, false]);
    assert.equal(one.service.lastExit?.reason, 'more sockets of containers are needed');
  });

  it('does not start for what it is given to inherit when it has none, or is about to', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const one = open(1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(one.service.state, 'backoff');
    one.service.renew('more sockets of containers are needed');
    assert.deepEqual([one.service.state, one.spawned()], ['backoff', 1]);
    await one.service.stop();
    one.service.renew('more sockets of containers are needed');
    assert.deepEqual([one.service.state, one.spawned()], ['stopped', 1]);
  });

  it('does not come back when it is stopped while it waits for its restart', async () => {
    // Otherwise its restart may be due before it is looked at.
    mock.timers.enable({ apis: ['setTimeout'] });
    const one = open(3);
    await one.untilSpawned(1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(one.service.state, 'backoff');
    await one.service.stop();
    mock.timers.tick(60_000);
    assert.deepEqual([one.service.state, one.spawned()], ['stopped', 1]);
  });

  it('gives a service that was killed for its silence twice as long the next time', async () => {
    const one = open();
    one.service.onReady();
    const { beatMs, missedBeats } = ipamContract.watch;
    const enough = (missedBeats + 1) * beatMs;
    one.service.checkPulse(performance.now() + enough);
    one.ends(KILLED);
    assert.equal(one.service.lastExit?.reason, `missed ${missedBeats} heartbeats`);
    await one.untilSpawned(2);
    one.service.onReady();
    one.service.checkPulse(performance.now() + enough);
    one.service.checkPulse(performance.now() + 2 * enough);
    one.ends(KILLED);
    assert.equal(one.service.lastExit?.reason, `missed ${2 * missedBeats} heartbeats`);
  });

  it('kills at once whom a signal stopped, also before it is ready and on its way to the end', async () => {
    const process = spawn('sleep', ['1000']);
    try {
      const one = open(0, process.pid);
      one.service.checkStopped();
      assert.equal(one.kills(), 0);
      process.kill('SIGSTOP');
      await eventually('it is stopped', PATIENCE_MS, () => isStopped(process.pid ?? 0));
      one.service.checkStopped();
      assert.equal(one.kills(), 1);
      one.ends(KILLED);
      assert.equal(one.service.lastExit?.reason, 'stopped by a signal (SIGSTOP)');
      await one.untilSpawned(2);
      one.service.onReady();
      const stopped = one.service.stop();
      one.service.checkStopped();
      assert.equal(one.kills(), 2);
      one.ends(KILLED);
      await stopped;
    } finally {
      process.kill('SIGKILL');
    }
  });
});
