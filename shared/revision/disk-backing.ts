// What a disk without a key is made of, from its `path`, `provision` and `provision_options`. Pure.
import type { Backing } from '../schema/storage.ts';
import type { DiskDocument } from './disk-document.ts';
import { checkedPath, isBlockDevice, isImagePath } from './disk-paths.ts';
import { missingKeys } from './document.ts';
import type { Problem } from './revision.ts';
import { shown } from './schema-problems.ts';

/** `path`: JSON path of the document. Codes: MISSING, DISK_PATH, DISK_OPTIONS. */
export function backingOf(document: DiskDocument, path: string, wrong: Problem[]): Backing | undefined {
  const options = optionsOf(document, path, wrong);
  if (options === undefined) return undefined;
  if (document.provision === 'zram') {
    if (options.some(([key]) => key === 'disksize')) return { kind: 'zram', settings: zramOrder(options) };
    wrong.push(badOptions(path, document, 'must have disksize=<size> for zram, as in "disksize=128M"'));
    return undefined;
  }
  const missing = missingKeys(document, ['path'], path);
  wrong.push(...missing);
  const at = missing.length > 0 ? undefined : checkedPath(document.path ?? '', `${path}.path`, wrong);
  if (at === undefined) return undefined;
  if (isBlockDevice(at)) return { kind: 'device', path: at };
  const size = mebibytesOf(options.find(([key]) => key === 'size')?.[1]);
  if (size === undefined) {
    wrong.push(badOptions(path, document, 'must have size=<size> for a file, as in "size=64M"'));
    return undefined;
  }
  return isImagePath(at, `${path}.path`, wrong) ? { kind: 'file', path: at, mebibytes: size } : undefined;
}

type Options = [string, string][];

function optionsOf(document: DiskDocument, path: string, wrong: Problem[]): Options | undefined {
  const text = document.provision_options ?? document.provision_ops ?? '';
  const words = text.split(/\s+/).filter((word) => word !== '');
  const pairs = words.flatMap((word): Options => {
    const [, key, value] = /^([a-z_]{1,32})=([A-Za-z0-9._-]+)$/.exec(word) ?? [];
    return key === undefined || value === undefined ? [] : [[key, value]];
  });
  if (pairs.length === words.length) return pairs;
  wrong.push(badOptions(path, document, 'must be key=value pairs with blanks between them'));
  return undefined;
}

function badOptions(path: string, document: DiskDocument, rule: string): Problem {
  const key = document.provision_ops === undefined ? 'provision_options' : 'provision_ops';
  return { path: `${path}.${key}`, code: 'DISK_OPTIONS', message: `is ${shown(document[key] ?? '')}; ${rule}` };
}

/** An algorithm cannot be changed once there is a size (kernel: Documentation/admin-guide/blockdev/zram.rst). */
function zramOrder(options: Options): Options {
  return [...options.filter(([key]) => key !== 'disksize'), ...options.filter(([key]) => key === 'disksize')];
}

const UNITS: Readonly<Record<string, number>> = { K: 1 / 1024, M: 1, G: 1024 };

/** A number with K, M or G, M without; undefined when it is none, or out of range. */
export function mebibytesOf(text: string | undefined): number | undefined {
  const [, digits, unit = 'M'] = /^(\d{1,8})([KMG]?)$/.exec(text ?? '') ?? [];
  const size = Math.ceil(Number(digits) * (UNITS[unit === '' ? 'M' : unit] ?? Number.NaN));
  return size >= 1 && size <= 16 * 1024 * 1024 ? size : undefined;
}
