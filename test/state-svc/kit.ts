// What the tests of state-svc whole have in common: devices that are closed after their test, and the run.json keys they like.
import { afterEach } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type ContainerSpec, createDevice, type Device } from './device.ts';

export const POOLED = { network: { pool: 'internal' } };
export const APP = { group: 'app', auto_recovery: { policy: 'no' } };

export const FAILED = { kind: 'code', code: 1 } as const;
export const RETRY = {
  policy: 'on-failure',
  max_retries: 5,
  retry_delay: 5,
  backoff_factor: 1,
  stable_timeout: 30,
  backoff_policy: 'never',
};

/** Makes a device for the test that runs; the one before it, or the end of the test, closes it. */
export function useDevices() {
  let device: Device | undefined;
  const close = async (): Promise<void> => {
    await device?.close();
    device = undefined;
  };
  afterEach(close);
  return async (
    containers: Readonly<Record<string, ContainerSpec>>,
    deviceJson?: object,
    documents?: Readonly<Record<string, object>>,
  ): Promise<Device> => {
    await close();
    device = await createDevice(containers, deviceJson, undefined, documents);
    return device;
  };
}

/** Calls about one container, without its name. */
export function callsOf({ world }: Device, name: string): readonly string[] {
  return world.calls.filter((call) => call.endsWith(` ${name}`)).map((call) => call.split(' ')[0] ?? '');
}

export async function health({ state }: Device) {
  const answer = await state.health({});
  return answer.ok ? answer.value.reasons : [];
}

/** Messages: turns of the loop are all that there is to wait for. */
export async function turnsOfTheLoop(): Promise<void> {
  for (let turns = 0; turns < 10; turns += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** State-svc, for a reboot that could not be counted. */
export async function waitsToAskAgain({ clock }: Device): Promise<void> {
  await eventually('it waits', PATIENCE_MS, () => clock.armed().includes(5_000));
}

export async function timeToAskAgain(it: Device): Promise<void> {
  await waitsToAskAgain(it);
  it.clock.advance(5_000);
}
