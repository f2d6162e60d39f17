// What Pantavisor has left on a storage of which revision it ran, and which one it or its boot loader would run next. Nothing is written here.
//   <storage>/boot/rpiab.txt, efiab.txt   <key>=<value>, each ended by a NUL: of boot loaders with two partitions
//   <storage>/boot/grubenv                <key>=<value> in lines
//   <storage>/boot/uboot.txt              as rpiab.txt, for U-Boot's `env import -b`. Images have one that says pv_rev=0 whatever their boot loader is
//   <storage>/trails/current              link to the revision that Pantavisor started last, whatever its boot loader is
// pv_rev is the last DONE revision, and absent before there is another one than 0; pv_try is one that the boot loader tries next, or tries now.
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../kernel/system-error.ts';
import { FACTORY, revisionName } from '../schema/names.ts';

export interface StockBoot {
  /** Undefined where nothing names it, or what is named is not there. */
  readonly revision: string | undefined;
  /** Another one that is there. */
  readonly tried: string | undefined;
  /** One that is there. */
  readonly startedLast: string | undefined;
  /** Of `revision`: what is written agrees. */
  readonly isCertain: boolean;
}

/** The first one that says anything is of the boot loader: uboot.txt is that of U-Boot only where there is none of another. */
const RECORDS = ['boot/rpiab.txt', 'boot/efiab.txt', 'boot/grubenv', 'boot/uboot.txt'];

/** Throws where something cannot be read. */
export function stockBoot(storage: string): StockBoot {
  const ifThere = (name: string | undefined): string | undefined => (hasState(storage, name) ? name : undefined);
  const said = RECORDS.map((path) => readRecord(storage, path)).find((record) => record.length > 0) ?? [];
  const last = (key: Entry['key']): string | undefined => said.findLast((entry) => entry.key === key)?.value;
  const revision = ifThere(said.length === 0 ? undefined : nameOf(last('pv_rev') ?? FACTORY));
  const next = ifThere(nameOf(last('pv_try')));
  const tried = next === revision ? undefined : next;
  const startedLast = ifThere(linkedRevision(join(storage, 'trails/current')));
  // An image's uboot.txt says 0 for ever where the record of the boot loader is out of sight, as in flash.
  const isCertain =
    revision !== undefined &&
    (startedLast === undefined ? revision !== FACTORY : [revision, tried].includes(startedLast));
  return { revision, tried, startedLast, isCertain };
}

/** All that any of them names, there or not: without these there is no way back to Pantavisor, or the device does not even boot. Throws as above. */
export function stockRevisions(storage: string): ReadonlySet<string> {
  const named = RECORDS.flatMap((path) => readRecord(storage, path)).map(({ value }) => nameOf(value));
  return new Set([...named, linkedRevision(join(storage, 'trails/current'))].filter((name) => name !== undefined));
}

/** Undefined: it is no link to a revision beside it. Throws where that cannot be seen. */
export function linkedRevision(path: string): string | undefined {
  // Earlier builds of Pantavisor made absolute ones.
  const target = unlessAbsent(() => readlinkSync(path));
  return nameOf(target?.replace(/^.*\/trails\//, ''));
}

interface Entry {
  readonly key: 'pv_rev' | 'pv_try';
  readonly value: string;
}

/** Without those that were unset, which are empty in some. */
function readRecord(storage: string, path: string): readonly Entry[] {
  const text = unlessAbsent(() => readFileSync(join(storage, path), 'utf8')) ?? '';
  return [...text.matchAll(/(?<=^|[\0\n])(pv_rev|pv_try)=([^\0\n]+)/g)].map(([, key, value = '']) => ({
    key: key === 'pv_try' ? key : 'pv_rev',
    value: value.trim(),
  }));
}

function hasState(storage: string, name: string | undefined): boolean {
  if (name === undefined) return false;
  return unlessAbsent(() => statSync(join(storage, 'trails', name, '.pvr/json'))) !== undefined;
}

const nameOf = (value: string | undefined): string | undefined => revisionName.safeParse(value).data;

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EINVAL']);

/** Undefined where it is not there, or is no link. */
function unlessAbsent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (ABSENT.has(errorCode(error))) return undefined;
    throw error;
  }
}
