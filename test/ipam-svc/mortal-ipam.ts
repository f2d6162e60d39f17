// An ipam-svc that kills itself with SIGKILL at a named point of its Nth append. Answers one JSON request a line on stdin, one a line on stdout.
// argv: folder, point (`none`, `before-write`, `mid-write`, `written`, `synced`), N; 0: of none, until the request `arm` says that it is the next.
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { createJournalDisk, type JournalDisk } from '../../services/ipam-svc/journal-disk.ts';
import { startIpam } from './kit.ts';

const [folder = '', point = 'none', nth = '0'] = process.argv.slice(2);
let appends = 0;
let last = Number(nth);

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

/** What a write that was not synced leaves behind when only the process dies. */
function writeUnsynced(bytes: Buffer, offset: number): void {
  writeSync(openSync(join(folder, 'leases.journal'), 'r+'), bytes, 0, bytes.length, offset);
}

function mortal(disk: JournalDisk): JournalDisk {
  return {
    ...disk,
    async append(bytes, offset) {
      appends += 1;
      if (appends !== last) return disk.append(bytes, offset);
      if (point === 'mid-write') writeUnsynced(bytes.subarray(0, bytes.length >> 1), offset);
      if (point === 'written') writeUnsynced(bytes, offset);
      if (point === 'synced') await disk.append(bytes, offset);
      die();
    },
  };
}

async function main(): Promise<void> {
  const ipam = await startIpam(mortal(createJournalDisk(folder)));
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, kind, params } = JSON.parse(line);
    if (kind === 'arm') last = appends + 1;
    const answer =
      kind === 'arm'
        ? Promise.resolve({ ok: true })
        : kind === 'configure'
          ? ipam.client.configure(params)
          : kind === 'release'
            ? ipam.client.release(params)
            : ipam.client.allocate(params);
    void answer.then((value) => process.stdout.write(`${JSON.stringify({ id, value })}\n`));
  }
  await ipam.stop();
}

void main();
