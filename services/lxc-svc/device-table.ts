// The devices that the kernel has, as /sys/dev tells of them (kernel: Documentation/ABI/testing/sysfs-dev). Only that is believed: what a
// message of the kernel says is looked up here, as others may send what looks like one.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { DeviceFacts } from '../../shared/devices/device-rule.ts';
import type { DeviceKind, DeviceNumber } from '../../shared/kernel/device-node.ts';

/** `char/4:64`, `block/8:0`: its place below /sys/dev. */
export type DeviceKey = string;
export type Device = DeviceFacts & DeviceNumber;

const ROOT = '/sys/dev';
const KINDS: readonly DeviceKind[] = ['char', 'block'];

export function deviceKey({ kind, major, minor }: DeviceNumber): DeviceKey {
  return `${kind}/${major}:${minor}`;
}

/** As written by deviceKey; undefined: it is none. */
export function deviceNumberOf(key: DeviceKey): DeviceNumber | undefined {
  const [, kind, major, minor] = /^(char|block)\/(\d{1,9}):(\d{1,9})$/.exec(key) ?? [];
  if (kind === undefined) return undefined;
  return { kind: kind === 'block' ? 'block' : 'char', major: Number(major), minor: Number(minor) };
}

/** All of them. */
export function readDevices(): Map<DeviceKey, Device> {
  const found = KINDS.flatMap((kind) => namesIn(`${ROOT}/${kind}`).map((name) => `${kind}/${name}`));
  return new Map(found.flatMap((key) => readDevice(key) ?? []).map((device) => [deviceKey(device), device]));
}

/** Undefined: there is no such device, or not any more. */
export function readDevice(key: DeviceKey): Device | undefined {
  const number = deviceNumberOf(key);
  const path = `${ROOT}/${key}`;
  const text = number === undefined ? undefined : readIfThere(() => readFileSync(`${path}/uevent`, 'utf8'));
  if (number === undefined || text === undefined) return undefined;
  // Most rules ask for none of these but the name.
  let values: ReadonlyMap<string, string> | undefined;
  const factOf = (name: string): string | undefined => {
    values ??= valuesOf(text, path);
    return values.get(name);
  };
  const [, name = factOf('DEVPATH')?.split('/').at(-1)] = /^DEVNAME=(.+)$/m.exec(text) ?? [];
  return name === undefined ? undefined : { ...number, name, factOf };
}

function valuesOf(text: string, path: string): ReadonlyMap<string, string> {
  const place = readIfThere(() => readlinkSync(path))?.replace(/^(?:\.\.\/)+/, '/');
  const subsystem = readIfThere(() => readlinkSync(`${path}/subsystem`));
  const lines = text.split('\n').flatMap((line): [string, string][] => {
    const at = line.indexOf('=');
    return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
  });
  const more = Object.entries({ DEVPATH: place, SUBSYSTEM: subsystem && basename(subsystem) });
  // Rules say what is to be there, so each device is one that is added.
  return new Map([
    ['ACTION', 'add'],
    ...more.flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : [])),
    ...lines,
  ]);
}

function namesIn(folder: string): readonly string[] {
  return readIfThere(() => readdirSync(folder)) ?? [];
}

/** A device goes at any moment, and what is told of it with it. */
function readIfThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
