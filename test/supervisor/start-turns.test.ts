// In which order services are started, and how many at a time, with services that only remember it.
import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import { SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { startInTurns } from '../../services/supervisor/start-turns.ts';
import type { SupervisedService } from '../../services/supervisor/supervised-service.ts';
import type { ServiceName } from '../../shared/ipc/contract.ts';

const IN_TURNS = ['state-svc', 'ctl-svc', 'lxc-svc', 'net-svc', 'ipam-svc', 'log-svc'];

function tree(atATime: number) {
  const states = new Map<ServiceName, SupervisedService['state']>();
  const started: ServiceName[] = [];
  const services = new Map(
    SERVICE_CONTRACTS.map(({ service }) => [
      service,
      {
        get state() {
          return states.get(service) ?? 'stopped';
        },
        start() {
          started.push(service);
          states.set(service, 'starting');
        },
      },
    ]),
  );
  mock.timers.enable({ apis: ['setTimeout'] });
  const turns = startInTurns(services, atATime);
  const becomes = (service: ServiceName, state: SupervisedService['state']): void => {
    states.set(service, state);
    turns.look();
  };
  return { turns, started, becomes };
}

describe('start-turns', () => {
  afterEach(() => mock.timers.reset());

  it('starts as many as may be on their way, and the next when one is ready', () => {
    const { turns, started, becomes } = tree(2);
    assert.deepEqual(started, ['state-svc', 'ctl-svc']);
    assert.ok(turns.isWaiting('lxc-svc'));
    becomes('ctl-svc', 'ready');
    assert.deepEqual(started, ['state-svc', 'ctl-svc', 'lxc-svc']);
    assert.ok(!turns.isWaiting('lxc-svc'));
    becomes('state-svc', 'ready');
    becomes('lxc-svc', 'ready');
    becomes('net-svc', 'ready');
    assert.deepEqual(started, IN_TURNS);
    turns.end();
  });

  it('gives the turn of one that ended to the next one', () => {
    const { turns, started, becomes } = tree(2);
    becomes('state-svc', 'backoff');
    assert.deepEqual(started, ['state-svc', 'ctl-svc', 'lxc-svc']);
    turns.end();
  });

  it('starts every service there is, once, also where one never gets ready', () => {
    const { started, becomes } = tree(1);
    assert.deepEqual(started, ['state-svc']);
    mock.timers.tick(1000);
    assert.deepEqual(started, IN_TURNS);
    assert.deepEqual(started.toSorted(), SERVICE_CONTRACTS.map(({ service }) => service).toSorted());
    becomes('state-svc', 'ready');
    assert.equal(started.length, IN_TURNS.length);
  });

  it('does not start what is wanted stopped, nor anything after its end', () => {
    const { turns, started, becomes } = tree(2);
    turns.forget('lxc-svc');
    becomes('ctl-svc', 'ready');
    assert.deepEqual(started, ['state-svc', 'ctl-svc', 'net-svc']);
    turns.end();
    assert.ok(!turns.isWaiting('log-svc'));
    becomes('net-svc', 'ready');
    mock.timers.tick(5000);
    assert.deepEqual(started, ['state-svc', 'ctl-svc', 'net-svc']);
  });
});
