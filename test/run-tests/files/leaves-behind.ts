// Passes, and leaves a process and a folder behind.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';

it('leaves a process and a folder', () => {
  spawn('sleep', ['60'], { stdio: 'ignore', detached: true }).unref();
  mkdtempSync(join(tmpdir(), 'forgotten-'));
});
