// The bundles of a tree whose processes collect their garbage when they are told: memory that is left then is what somebody holds.
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { PROGRAM, type Tree } from '../../test/kit/tree.ts';
import { serviceOf } from '../sandbox/inventory.ts';

const SIGNAL = 'SIGUSR2';
/** Code from strings is forbidden to services; a context of its own has the function once the flag is set (v8.setFlagsFromString). */
const HOOK = `require('node:v8').setFlagsFromString('--expose-gc');
process.on('${SIGNAL}', () => require('node:vm').runInNewContext('gc')());
`;

/** A copy of dist/ in a new folder, which the caller removes. */
export function copyCollectingProgram(): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-program-'));
  cpSync(PROGRAM, folder, { recursive: true });
  // Services are users of their own.
  chmodSync(folder, 0o755);
  for (const name of readdirSync(folder)) {
    if (!/^([a-z]+-svc|berth)\.js$/.test(name)) continue;
    const path = join(folder, name);
    const text = readFileSync(path, 'utf8');
    const start = text.startsWith('#!') ? text.indexOf('\n') + 1 : 0;
    writeFileSync(path, `${text.slice(0, start)}${HOOK}${text.slice(start)}`);
  }
  return folder;
}

/** It takes a moment, in their time: what is looked at next has it. */
export function collectAll(tree: Tree): void {
  for (const pid of tree.processes()) if (serviceOf(pid) !== '') process.kill(pid, SIGNAL);
}
