// The reboots that a next one may be in a row with, on disk, because memory does not survive them:
//   <storage>/supervisor/reboots.json   [{ "code", "message", "atMs" }]   written beside, synced, renamed, folder synced
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod/mini';
import { spareName } from '../../shared/kernel/spare-name.ts';
import type { PastReboot } from './reboot-policy.ts';

const file = z.array(z.strictObject({ code: z.string(), message: z.string(), atMs: z.number() }));

/** Empty when there is no file, or none that can be read: then a reboot is allowed, and the file is made anew. */
export function readReboots(path: string): readonly PastReboot[] {
  try {
    const parsed = file.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : [];
  } catch {
    return [];
  }
}

/** Throws when it cannot be written: a reboot that cannot be counted is not carried out. */
export function writeReboots(path: string, reboots: readonly PastReboot[]): void {
  const beside = spareName(`${path}.new`);
  try {
    writeFileSync(beside, JSON.stringify(reboots), { flush: true });
    renameSync(beside, path);
  } catch (error) {
    takeAway(beside);
    throw error;
  }
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

function takeAway(beside: string): void {
  try {
    rmSync(beside, { force: true });
  } catch {
    // Why it could not be written says more.
  }
}
