// Every action that may be asked of a container, from every status it can have: what is answered, and where it ends.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ContainerAction, Status } from '../../shared/schema/api.ts';
import type { ContainerSpec, Device } from './device.ts';
import { APP, FAILED, RETRY, useDevices } from './kit.ts';

const open = useDevices();

interface Stage {
  readonly containers: Readonly<Record<string, ContainerSpec>>;
  /** Brings `web` into the status; answers what lets it go on. */
  reach(device: Device): Promise<() => void>;
}

const WEB = { ...APP, auto_recovery: RETRY };
const nothing = (): void => undefined;
const calledFirst = (call: string, step: string) => async (device: Device) => {
  const release = device.world.hold(step);
  await device.boot();
  await device.until(() => device.world.calls.includes(call));
  return release;
};
const started = async (device: Device): Promise<void> => {
  await device.boot();
  await device.untilStatus('web', 'STARTED');
};

const STAGES: Readonly<Record<Status, Stage>> = {
  INSTALLED: {
    containers: { base: { group: 'root' }, web: WEB },
    reach: calledFirst('lxc.mount base', 'lxc.mount'),
  },
  MOUNTED: {
    containers: { web: { ...WEB, status_goal: 'MOUNTED' } },
    async reach(device) {
      await device.boot();
      await device.untilStatus('web', 'MOUNTED');
      return nothing;
    },
  },
  BLOCKED: {
    containers: { base: { group: 'platform', auto_recovery: { ...RETRY, max_retries: 0 } }, web: WEB },
    async reach(device) {
      const releaseBase = device.world.hold('lxc.mount');
      await device.boot();
      await device.until(() => device.world.calls.includes('lxc.mount base'));
      releaseBase();
      const release = device.world.hold('lxc.mount');
      await device.until(() => device.world.calls.includes('lxc.mount web'));
      device.world.exit('base', FAILED);
      await device.untilStatus('base', 'RECOVERING');
      release();
      await device.untilStatus('web', 'BLOCKED');
      return () => device.clock.advance(5000);
    },
  },
  STARTING: { containers: { web: WEB }, reach: calledFirst('lxc.start web', 'lxc.start') },
  STARTED: {
    containers: { web: WEB },
    async reach(device) {
      await started(device);
      return nothing;
    },
  },
  READY: {
    containers: { web: { ...WEB, status_goal: 'READY' } },
    async reach(device) {
      await started(device);
      await device.state.signalReady({ container: 'web' });
      return nothing;
    },
  },
  RECOVERING: {
    containers: { web: WEB },
    async reach(device) {
      await started(device);
      device.world.exit('web', FAILED);
      await device.untilStatus('web', 'RECOVERING');
      return nothing;
    },
  },
  STOPPING: {
    containers: { web: WEB },
    async reach(device) {
      await started(device);
      const release = device.world.hold('lxc.stop');
      await device.state.controlContainer({ container: 'web', action: 'stop' });
      return release;
    },
  },
  STOPPED: {
    containers: { web: WEB },
    async reach(device) {
      await started(device);
      await device.state.controlContainer({ container: 'web', action: 'stop' });
      await device.untilStatus('web', 'STOPPED');
      return nothing;
    },
  },
};

type Ends = { readonly [K in ContainerAction]: Status | 'refused' | 'as it is' };

/** Where `web` is when all is over; `refused`: the status does not allow it; `as it is`: accepted, and nothing of it changes. */
const TABLE: Readonly<Record<Status, Ends>> = {
  INSTALLED: { start: 'refused', stop: 'STOPPED', restart: 'refused' },
  MOUNTED: { start: 'refused', stop: 'STOPPED', restart: 'MOUNTED' },
  BLOCKED: { start: 'refused', stop: 'STOPPED', restart: 'STARTED' },
  STARTING: { start: 'as it is', stop: 'STOPPED', restart: 'STARTED' },
  STARTED: { start: 'as it is', stop: 'STOPPED', restart: 'STARTED' },
  READY: { start: 'as it is', stop: 'STOPPED', restart: 'STARTED' },
  RECOVERING: { start: 'STARTED', stop: 'STOPPED', restart: 'STARTED' },
  STOPPING: { start: 'refused', stop: 'as it is', restart: 'refused' },
  STOPPED: { start: 'STARTED', stop: 'as it is', restart: 'STARTED' },
};

const ACTIONS: readonly ContainerAction[] = ['start', 'stop', 'restart'];

describe('controlContainer', () => {
  for (const [status, stage] of Object.entries(STAGES)) {
    for (const action of ACTIONS) {
      const end = Object.entries(TABLE).find(([from]) => from === status)?.[1][action];
      it(`${action} from ${status}: ${end}`, async () => {
        const device = await open(stage.containers);
        const release = await stage.reach(device);
        const before = (await device.rows()).web;
        assert.equal(before?.status, status);
        const answer = await device.state.controlContainer({ container: 'web', action });
        if (end === 'refused' || end === 'as it is') {
          assert.equal(answer.ok ? 'as it is' : answer.error.code, end === 'refused' ? 'NOT_ALLOWED' : end);
          assert.deepEqual((await device.rows()).web, before);
          release();
          return;
        }
        assert.ok(answer.ok, JSON.stringify(answer));
        release();
        const { user_stopped, auto_recovery } = await device.untilStatus('web', end ?? 'INSTALLED');
        assert.deepEqual(
          [user_stopped, auto_recovery?.current_retries],
          [String(action === 'stop'), status === 'RECOVERING' && action === 'stop' ? 1 : 0],
        );
        const { running, mounted } = device.world.containers.get('web') ?? {};
        assert.deepEqual([running !== undefined, mounted === true], [end === 'STARTED', end !== 'STOPPED']);
        if (action === 'restart') assert.notEqual(running?.pid ?? 'none', before.pid, 'it is the same run');
      });
    }
  }
});
