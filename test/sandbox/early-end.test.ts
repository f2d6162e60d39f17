// A sandbox that is ended before it stands leaves nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';
import { eventually } from '../kit/eventually.ts';

const BERTH = join(import.meta.dirname, '../../dist/berth.js');
const PATIENCE_MS = 20_000;

/** The folder of the sandbox that a process is making: the last word of the program that makes it. */
function folderOf(pid: number | undefined): string | undefined {
  try {
    const [maker = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    const words = readFileSync(`/proc/${maker}/cmdline`, 'utf8').split('\0');
    return words.find((word) => /\/berth-\w{6}$/.test(word));
  } catch {
    return undefined;
  }
}

describe('berth run --sandbox', () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`takes its folder away when it is ended early by ${signal}`, async () => {
      const storage = mkdtempSync(join(tmpdir(), 'early-end-'));
      chmodSync(storage, 0o755);
      const berth = spawn(process.execPath, [BERTH, 'run', '--sandbox', '--storage', storage], { stdio: 'ignore' });
      const ended = once(berth, 'exit');
      try {
        let shared: string | undefined;
        await eventually('the sandbox’s maker', PATIENCE_MS, () => {
          shared = folderOf(berth.pid);
          return shared !== undefined;
        });
        berth.kill(signal);
        assert.deepEqual(await ended, [0, null]);
        assert.equal(existsSync(shared ?? ''), false, shared);
        assert.ok(existsSync(join(storage, 'trails/0/.pvr/json')), 'the first revision of a storage that was empty');
      } finally {
        berth.kill('SIGKILL');
        rmSync(storage, { recursive: true, force: true });
      }
    });
  }
});
