// What a path is, and what the rules of its kind say of it.
import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { readConfigObject } from '../../shared/revision/config-object.ts';
import { currentFile } from '../../shared/revision/current-file.ts';
import type { ParsedRevision, Problem } from '../../shared/revision/revision.ts';
import { checkSignatures } from '../../shared/revision/signatures.ts';
import { stockBoot } from '../../shared/revision/stock-boot.ts';
import { parseDevice, parseState } from '../../shared/revision/validate.ts';
import { FACTORY, sha256 } from '../../shared/schema/names.ts';
import { currentDocument } from './current-revision.ts';
import { mistypedDevice } from './mistyped.ts';
import { isSourceFolder, readSources } from './pack-source.ts';
import { sha256OfFile, validateSource } from './pack-state.ts';

export interface Checked {
  /** What was looked at, for one line. */
  readonly summary: string;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

export async function checkPath(path: string): Promise<Checked | { readonly wrong: string }> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return { wrong: `${path}: no such file or folder` };
  if (!found.isDirectory()) return checkFile(path);
  if (isFolder(join(path, 'trails'))) return checkStorage(path);
  if (isSourceFolder(path)) return checkSource(path);
  return { wrong: `${path} is neither a storage (no trails/) nor a source folder (no device.json, no containers/)` };
}

function checkSource(folder: string): Checked {
  const source = readSources([folder]);
  const checked = judged(`source folder ${folder}`, validateSource(source));
  return { ...checked, warnings: [...source.warnings, ...checked.warnings] };
}

/** Objects are out of sight here, so what is written in them is not looked at. */
function checkFile(path: string): Checked {
  const read = readJson(path, basename(path));
  if (!read.ok) return { summary: path, problems: [read.problem], warnings: [] };
  if (isDevice(path, read.value)) {
    return { summary: `device ${path}`, problems: parseDevice(read.value), warnings: mistypedDevice(read.value) };
  }
  const checked = judged(
    `state ${path}`,
    parseState(read.value, () => undefined),
  );
  return { ...checked, warnings: [...checked.warnings, ...signatureWarnings(read.value)] };
}

const DEVICE_KEYS = ['groups', 'disks', 'volumes', 'network'];

function isDevice(path: string, document: unknown): boolean {
  if (basename(path) === 'device.json') return true;
  if (typeof document !== 'object' || document === null || Object.hasOwn(document, '#spec')) return false;
  return DEVICE_KEYS.some((key) => Object.hasOwn(document, key));
}

/** The revision that would run: the one that boot/current.json, or what is there instead, names, or Pantavisor's, or 0. */
async function checkStorage(storage: string): Promise<Checked> {
  const current = readCurrent(storage);
  if (typeof current !== 'string') return { summary: `storage ${storage}`, problems: [current], warnings: [] };
  const summary = `revision ${current} of storage ${storage}`;
  const read = readJson(join(storage, 'trails', current, '.pvr/json'), `trails/${current}/.pvr/json`);
  if (!read.ok) return { summary, problems: [read.problem], warnings: [] };
  const parsed = parseState(read.value, (_path, digest) => readConfigObject(join(storage, 'objects', digest)));
  const damaged = await checkObjects(storage, read.value);
  const { problems, warnings } = judged(summary, parsed);
  return { summary, problems: [...problems, ...damaged], warnings: [...warnings, ...signatureWarnings(read.value)] };
}

/** Held against the keys that they bring themselves. Warnings, because it is the device's configuration that says what they mean to it. */
function signatureWarnings(state: unknown): readonly Problem[] {
  const { signatures, invalid, uncovered } = checkSignatures(state, undefined);
  const [first] = uncovered;
  if (signatures === 0 || first === undefined || invalid.length > 0) return invalid;
  const others = uncovered.length > 1 ? `, and so are ${uncovered.length - 1} more parts` : '';
  return [{ ...first, message: `is covered by no signature${others}; a device in mode strict refuses it` }];
}

function readCurrent(storage: string): string | Problem {
  const file = currentFile(storage);
  const path = join(storage, file);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return stockBoot(storage).revision ?? FACTORY;
  const read = readJson(path, file);
  if (!read.ok) return read.problem;
  const parsed = currentDocument.safeParse(read.value);
  if (parsed.success) return parsed.data.revision;
  const message = 'names no revision; expected {"revision":"<name>"}';
  return { path: file, code: 'CURRENT_INVALID', message };
}

/** Codes: OBJECT_MISSING, OBJECT_UNREADABLE, OBJECT_CORRUPT. Hashes each object once, however many paths name it. */
async function checkObjects(storage: string, state: unknown): Promise<readonly Problem[]> {
  if (typeof state !== 'object' || state === null) return [];
  const verdicts = new Map<string, Promise<Pick<Problem, 'code' | 'message'> | undefined>>();
  const problems: Problem[] = [];
  for (const [path, value] of Object.entries(state)) {
    const digest = sha256.safeParse(value);
    if (!digest.success) continue;
    const verdict = verdicts.get(digest.data) ?? judgeObject(join(storage, 'objects', digest.data), digest.data);
    verdicts.set(digest.data, verdict);
    const wrong = await verdict;
    if (wrong !== undefined) problems.push({ path, ...wrong });
  }
  return problems;
}

async function judgeObject(path: string, digest: string): Promise<Pick<Problem, 'code' | 'message'> | undefined> {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    return {
      code: 'OBJECT_MISSING',
      message: `object ${digest} is not in the storage; pack or install the revision again`,
    };
  }
  try {
    const found = await sha256OfFile(path);
    if (found === digest) return undefined;
    return {
      code: 'OBJECT_CORRUPT',
      message: `object ${digest} has content with sha256 ${found}; pack or install it again`,
    };
  } catch (error) {
    return { code: 'OBJECT_UNREADABLE', message: `object ${digest} cannot be read: ${reasonOf(error)}` };
  }
}

const BINARY = 'is binary, not JSON; to check an archive, check the folder that it was packed from';

type ReadJson = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: Problem };

function readJson(file: string, path: string): ReadJson {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    return { ok: false, problem: { path, code: 'UNREADABLE', message: `cannot be read: ${reasonOf(error)}` } };
  }
  // An error of the parser would quote them.
  if (bytes.includes(0)) return { ok: false, problem: { path, code: 'NOT_JSON', message: BINARY } };
  try {
    return { ok: true, value: JSON.parse(bytes.toString('utf8')) };
  } catch (error) {
    return { ok: false, problem: { path, code: 'NOT_JSON', message: `is no JSON: ${reasonOf(error)}` } };
  }
}

function judged(summary: string, parsed: ParsedRevision): Checked {
  return parsed.ok
    ? { summary, problems: [], warnings: parsed.warnings }
    : { summary, problems: parsed.problems, warnings: [] };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
