// One container with peers that answer at once: what it tells, and what it looks like when it tells it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Container, type ContainerContext, createContainer } from '../../services/state-svc/container.ts';
import { type Intent, NO_INTENT } from '../../services/state-svc/intent-store.ts';
import type { Peers } from '../../services/state-svc/peers.ts';
import { ok } from '../../shared/ipc/contract.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { parseState } from '../../shared/revision/validate.ts';
import { type ContainerSpec, stateOf } from './device.ts';
import { APP } from './kit.ts';
import { createTestClock } from './test-clock.ts';

/** `calls`: what lxc-svc was asked for. */
function open(changed: (container: Container) => void, lxcOver: object = {}, run: ContainerSpec = APP) {
  const parsed = parseState(stateOf({ web: run }, {}).document, () => undefined);
  assert.ok(parsed.ok);
  const [plan] = parsed.revision.containers;
  assert.ok(plan !== undefined);
  const calls: string[] = [];
  const asked = (call: string, answer: object) => async () => {
    calls.push(call);
    return ok(answer);
  };
  const lxc = {
    mount: asked('mount', { rootfs: '/' }),
    start: asked('start', { pid: 100, startedMs: 0, upMs: 0 }),
    stop: asked('stop', {}),
    unmount: asked('unmount', {}),
    ...lxcOver,
  };
  let intent: Intent = NO_INTENT;
  const context: ContainerContext = {
    clock: createTestClock(),
    log: silentLogger,
    ask: (call) => call(),
    changed,
    peers: { lxc } as unknown as Peers,
    intents: {
      get: () => intent,
      async set(_name, change) {
        intent = { ...intent, ...change };
      },
      keepOnly: async () => undefined,
      unwritten: () => undefined,
      drained: async () => undefined,
    },
    drivers: { loadFor: async () => undefined },
    revision: () => '0',
    requestReboot: () => undefined,
    requestRebootAtBoot: () => undefined,
    isTried: () => false,
    mayStart: async () => undefined,
    poolsStand: () => true,
    notYet: () => undefined,
  };
  return { container: createContainer(plan, context), calls, intent: () => intent };
}

/** Nobody here waits for more than promises. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a container', () => {
  it('is started as its run.json says of /dev/log, firmware and modules, and as others are where that says nothing', async () => {
    const asked: object[] = [];
    const start = async ({
      container: _,
      hostname: __,
      network: ___,
      roles: ____,
      ...rest
    }: Record<string, unknown>) => {
      // A key that is undefined is no part of a message.
      asked.push(JSON.parse(JSON.stringify(rest)));
      return ok({ pid: 100, startedMs: 0, upMs: 0 });
    };
    const remount = { field: [{ '/': 'ro' }] };
    for (const said of [{}, { automodfw: 'yes' }, { automodfw: 'no', 'dev-log': false }, { remount }]) {
      const { container } = open(() => undefined, { start }, { ...APP, ...said });
      await container.control('stop');
      await settled();
      await container.control('start');
      await settled();
    }
    const remounts = [{ policy: 'field', place: '/', options: ['ro'] }];
    assert.deepEqual(asked, [{}, {}, { automodfw: false, devLog: false }, { remounts }]);
  });

  it('that is started before its group’s turn is not started by that turn as well', async () => {
    let isTurn = false;
    const { container, calls } = open((changed) => {
      if (isTurn && changed.status === 'INSTALLED' && !changed.starting && !changed.tried) changed.boot();
    });
    await container.control('stop');
    await settled();
    assert.equal(container.status, 'STOPPED');
    isTurn = true;
    calls.length = 0;
    await container.control('start');
    await settled();
    assert.deepEqual([container.status, calls], ['STARTED', ['mount', 'start']]);
  });

  it('whose start meets a service that is away while this one ends is to be started by the next', async () => {
    const { container, intent } = open(() => undefined, {
      mount: async () => {
        container.close();
        throw new Fault('PEER_GONE', 'lxc-svc.mount');
      },
    });
    await container.control('stop');
    await settled();
    await container.control('start');
    await settled();
    assert.deepEqual(intent().pendingStart, { replacesPid: 0 });
  });
});
