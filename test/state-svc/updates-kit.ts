// A device that is updated, beside peers in memory and a clock that the test holds: what the tests of updates share.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandOp } from '../../shared/schema/steps.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { type ContainerSpec, type Device, sha256, stateOf, TRIAL, writeRevision } from './device.ts';
import { APP, useDevices } from './kit.ts';

export const THREE = { a: APP, b: APP, c: APP };
export const CHANGED_B = { ...THREE, b: { ...APP, logs: [] } };

/** For one file of tests: opens a device whose containers run, and closes it after each test. */
export function deviceForEach() {
  const openDevice = useDevices();
  return async (containers: Record<string, ContainerSpec>, deviceJson: object = {}): Promise<Device> => {
    const device = await openDevice(containers, deviceJson);
    await device.boot();
    for (const name of Object.keys(containers)) await device.untilStatus(name, 'STARTED');
    await reaches(device, '0', 'Factory revision');
    return device;
  };
}

export const install = (
  { storage }: Device,
  name: string,
  containers: Record<string, ContainerSpec>,
  deviceJson: object = {},
) => writeRevision(storage, name, stateOf(containers, deviceJson));

/** Damages an object. */
export function rot({ storage }: Device, text: string): void {
  writeFileSync(join(storage, 'objects', sha256(text)), 'rotten');
}

export async function command({ state }: Device, op: CommandOp, payload = '') {
  const answer = await state.runCommand({ op, payload });
  return answer.ok ? 'accepted' : answer.error.code;
}

export async function progressOf({ state }: Device, name: string) {
  const answer = await state.stepProgress({ name });
  assert.ok(answer.ok, name);
  return answer.value.progress;
}

/** What is written to a disk wakes nobody. */
export async function reaches(it: Device, name: string, message: string): Promise<void> {
  let last = '';
  await eventually(`${name}: ${message}`, PATIENCE_MS, async () => {
    last = (await progressOf(it, name))['status-msg'];
    return last === message;
  }).catch((error: unknown) => assert.fail(`${error}, it is at "${last}"\n${it.lines.slice(-20).join('\n')}`));
}

export const DONE = 'Update finished, revision set as rollback point';
export const UPDATED = 'Update finished, revision not set as rollback point';
export const TESTING_LIVE = 'Awaiting to see if update is stable';
export const TESTING = 'Awaiting to set rollback point if update is stable';

export const pids = async (it: Device) =>
  Object.fromEntries(Object.entries(await it.rows()).map(([name, { pid }]) => [name, pid]));
export const onDisk = ({ storage }: Device) => JSON.parse(readFileSync(join(storage, 'boot/current.json'), 'utf8'));

/** Everything is as it should be, and then for long enough. */
export async function holds(it: Device): Promise<void> {
  await eventually('the trial holds', PATIENCE_MS, () => onDisk(it).trying?.started?.heldSinceMs !== undefined);
  it.clock.advance(TRIAL.commitDelayMs);
}

/** Lets the time pass that it must hold, as often as it has to: hooks and peers that are asked before the end may wait by the same clock. */
export async function commits(it: Device, name: string, message: string): Promise<void> {
  await eventually(`${name}: ${message}`, PATIENCE_MS, async () => {
    if ((await progressOf(it, name))['status-msg'] === message) return true;
    if (onDisk(it).trying?.started?.heldSinceMs !== undefined) it.clock.advance(TRIAL.commitDelayMs);
    return false;
  });
}

/** From the command to its end without anything going wrong. */
export async function updateLive(it: Device, name: string): Promise<void> {
  assert.equal(await command(it, 'LOCAL_RUN', name), 'accepted');
  await reaches(it, name, TESTING_LIVE);
  await holds(it);
  await reaches(it, name, UPDATED);
}
