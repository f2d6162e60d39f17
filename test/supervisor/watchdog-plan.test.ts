// When the hardware watchdog is opened, fed and closed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  feedIntervalMs,
  look,
  lostService,
  PATIENCE_MS,
  step,
  type WatchdogEvent,
  type WatchdogMode,
  type WatchdogState,
} from '../../services/supervisor/watchdog-plan.ts';

const MODES = ['disabled', 'shutdown', 'startup', 'always'] as const;
const EVENTS = ['started', 'up', 'sound', 'unsound', 'machineEnds', 'ended'] as const;

function run(mode: WatchdogMode, events: readonly WatchdogEvent[]) {
  let state: WatchdogState = 'closed';
  const effects = events.map((event) => {
    const next = step(mode, state, event);
    state = next.state;
    return next.effect;
  });
  return { state, effects };
}

const upgrade = ['started', 'sound', 'up', 'sound', 'ended'] as const;
const reboot = ['started', 'sound', 'up', 'sound', 'machineEnds', 'unsound', 'ended', 'sound'] as const;

describe('supervisor.watchdogPlan', () => {
  it('guards from the start until Berth ends, and the end of the machine to its end, with always', () => {
    assert.deepEqual(run('always', upgrade).effects, ['open', 'feed', undefined, 'feed', 'close']);
    const { state, effects } = run('always', reboot);
    assert.deepEqual(effects, ['open', 'feed', undefined, 'feed', 'feed', 'feed', 'feed', undefined]);
    assert.equal(state, 'handed');
  });

  it('guards until all services are up, and then the end of the machine, with startup', () => {
    assert.deepEqual(run('startup', upgrade).effects, ['open', 'feed', 'close', undefined, undefined]);
    const { effects } = run('startup', reboot);
    assert.deepEqual(effects, ['open', 'feed', 'close', undefined, 'open', 'feed', 'feed', undefined]);
  });

  it('guards only the end of the machine with shutdown', () => {
    assert.deepEqual(run('shutdown', upgrade).effects, Array(5).fill(undefined));
    const quiet = Array(4).fill(undefined);
    assert.deepEqual(run('shutdown', reboot).effects, [...quiet, 'open', 'feed', 'feed', undefined]);
  });

  it('feeds again when a critical service came back in time', () => {
    const events = ['started', 'unsound', 'unsound', 'sound'] as const;
    assert.deepEqual(run('always', events).effects, ['open', undefined, undefined, 'feed']);
  });

  it('never touches the device when disabled; never feeds or closes what is not open; feeds nothing for a lost service', () => {
    fc.assert(
      fc.property(fc.constantFrom(...MODES), fc.array(fc.constantFrom(...EVENTS)), (mode, events) => {
        let state: WatchdogState = 'closed';
        let isOpen = false;
        for (const event of events) {
          const { state: next, effect } = step(mode, state, event);
          if (mode === 'disabled') assert.equal(effect, undefined);
          if (effect === 'open') assert.equal(isOpen, false);
          if (effect === 'feed' || effect === 'close') assert.equal(isOpen, true);
          if (event === 'unsound' && state !== 'ending') assert.notEqual(effect, 'feed');
          // The machine goes down: nothing may take its guard away any more.
          if (state === 'ending' || state === 'handed') assert.notEqual(effect, 'close');
          isOpen = effect === 'open' || (isOpen && effect !== 'close');
          state = next;
        }
      }),
    );
  });

  it('gives up on a critical service that is down for too long, and on no other', () => {
    const critical = (state: string) => [{ service: 'state-svc', state }];
    let down = look(critical('backoff'), new Map(), 0);
    down = look(critical('starting'), down, PATIENCE_MS);
    assert.equal(lostService(down, PATIENCE_MS), undefined);
    assert.equal(lostService(down, PATIENCE_MS + 1), 'state-svc');
    assert.equal(lostService(look(critical('ready'), down, PATIENCE_MS), PATIENCE_MS + 1), undefined);
    for (const { service, state } of [
      { service: 'log-svc', state: 'backoff' },
      { service: 'lxc-svc', state: 'stopped' },
    ]) {
      assert.equal(lostService(look([{ service, state }], new Map(), 0), PATIENCE_MS + 1), undefined);
    }
  });

  it('feeds several times within every timeout', () => {
    for (const seconds of [1, 2, 15, 60]) assert.ok(feedIntervalMs(seconds) * 3 < seconds * 1000);
    assert.ok(feedIntervalMs(0) > 0);
  });
});
