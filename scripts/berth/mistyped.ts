// Names in what people write by hand that nobody reads, and that are near to one that is read: left out without a word, a pool has no
// NAT, a container no arguments. In: names that are there, and names that are known; out: warnings, code MISTYPED. Names that are
// near to none are those of others, or of later versions. Pure.
import { deviceDocument, groupDocument, poolDocument } from '../../shared/revision/device-document.ts';
import { laterDiskDocument } from '../../shared/revision/disk-document.ts';
import { autoRecoveryDocument } from '../../shared/revision/recovery-document.ts';
import type { Problem } from '../../shared/revision/revision.ts';
import { nearestName } from './nearest-name.ts';

const keysOf = ({ shape }: { readonly shape: object }): readonly string[] => Object.keys(shape);

/** Of an auto_recovery, at `path`. */
export function mistypedRecovery(recovery: unknown, path: string): readonly Problem[] {
  return mistypedKeys(recovery, keysOf(autoRecoveryDocument), path);
}

/** Of a device.json, at every depth. */
export function mistypedDevice(device: unknown): readonly Problem[] {
  const network = valueIn(device, 'network');
  return [
    ...mistypedKeys(device, keysOf(deviceDocument), 'device.json'),
    ...mistypedKeys(network, ['pools'], 'device.json.network'),
    ...entriesOf(valueIn(network, 'pools')).flatMap(([name, pool]) =>
      mistypedKeys(pool, keysOf(poolDocument), `device.json.network.pools.${name}`),
    ),
    ...entriesOf(valueIn(device, 'groups')).flatMap(([index, group]) => [
      ...mistypedKeys(group, keysOf(groupDocument), `device.json.groups.${index}`),
      ...mistypedRecovery(valueIn(group, 'auto_recovery'), `device.json.groups.${index}.auto_recovery`),
    ]),
    ...['disks', 'disks_v2', 'disks_v3'].flatMap((list) =>
      entriesOf(valueIn(device, list)).flatMap(([index, disk]) =>
        mistypedKeys(disk, keysOf(laterDiskDocument), `device.json.${list}.${index}`),
      ),
    ),
  ];
}

/** Of files and folders at `path`. */
export function mistypedFiles(names: readonly string[], known: readonly string[], path: string): readonly Problem[] {
  return mistyped(names, known).map(({ name, nearest }) => ({
    path: `${path}/${name}`,
    code: 'MISTYPED',
    message: `is nothing that berth pack takes, and is left out; the nearest is ${nearest}`,
  }));
}

function mistypedKeys(value: unknown, known: readonly string[], path: string): readonly Problem[] {
  const names = entriesOf(value).map(([key]) => key);
  return mistyped(names, known).map(({ name, nearest }) => ({
    path: `${path}.${name}`,
    code: 'MISTYPED',
    message: `is no key that Berth knows, and is left out; the nearest is ${nearest}`,
  }));
}

/** Where the nearest is there as well, this one is another. */
function mistyped(names: readonly string[], known: readonly string[]) {
  return names.flatMap((name) => {
    const nearest = known.includes(name) ? undefined : nearestName(name, known);
    return nearest === undefined || names.includes(nearest) ? [] : [{ name, nearest }];
  });
}

/** None of what is no object: the rules say so. */
function entriesOf(value: unknown): readonly [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

function valueIn(value: unknown, key: string): unknown {
  return entriesOf(value).find(([name]) => name === key)?.[1];
}
