import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { CommandError, runCommand } from '../../shared/exec/run-command.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

const timeoutMs = 60_000;
const failsWith = (code: string) => (error: unknown) => error instanceof CommandError && error.code === code;

describe('runCommand', () => {
  it('answers exit code, stdout and stderr', async () => {
    const result = await runCommand('sh', ['-c', 'echo out; echo err >&2; exit 3'], { timeoutMs });
    assert.deepEqual(result, { exitCode: 3, signal: null, stdout: 'out\n', stderr: 'err\n' });
  });

  it('answers the signal of a program that was killed', async () => {
    const result = await runCommand('sh', ['-c', 'kill -TERM $$'], { timeoutMs });
    assert.equal(result.signal, 'SIGTERM');
    assert.equal(result.exitCode, null);
  });

  it('hands the input over and closes it', async () => {
    const result = await runCommand('cat', [], { timeoutMs, input: 'one\ntwo\n' });
    assert.equal(result.stdout, 'one\ntwo\n');
  });

  it('gives an empty stdin without input', async () => {
    assert.equal((await runCommand('cat', [], { timeoutMs })).stdout, '');
  });

  it('survives a program that does not read a large input', async () => {
    assert.equal((await runCommand('true', [], { timeoutMs, input: 'x'.repeat(1_000_000) })).exitCode, 0);
  });

  it('passes arguments as they are', async () => {
    const args = ['%s|', 'a b', '$(id)', '; reboot', ''];
    assert.equal((await runCommand('printf', args, { timeoutMs })).stdout, 'a b|$(id)|; reboot||');
  });

  it('hands nothing of our environment on', async () => {
    process.env.RUN_COMMAND_SECRET = 'x';
    const { stdout } = await runCommand('env', [], { timeoutMs });
    delete process.env.RUN_COMMAND_SECRET;
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=')[0])
        // Node itself adds it while coverage is measured.
        .filter((name) => name !== 'NODE_V8_COVERAGE')
        .sort(),
      ['LC_ALL', 'PATH'],
    );
  });

  it('rejects with NOT_FOUND for a program that does not exist', async () => {
    await assert.rejects(runCommand('/nonexistent/program', [], { timeoutMs }), failsWith('NOT_FOUND'));
  });

  it('rejects with TIMED_OUT and kills what the program started as well', async () => {
    const fifo = join(mkdtempSync(join(tmpdir(), 'run-command-')), 'alive');
    execFileSync('mkfifo', [fifo]);
    // Both processes hold the fifo's writing end: reading it ends when both are gone.
    let isRead = false;
    const ended = readFile(fifo).finally(() => {
      isRead = true;
    });
    const command = `exec 9>"${fifo}"; sleep 1000 & exec sleep 1000`;
    await assert.rejects(runCommand('sh', ['-c', command], { timeoutMs: 500 }), failsWith('TIMED_OUT'));
    // On a machine so slow that nobody had opened it by then, the reader still waits for a writer.
    closeSync(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
    await eventually('both are gone', PATIENCE_MS, () => isRead);
    await ended;
    rmSync(dirname(fifo), { recursive: true });
  });

  it('rejects with OUTPUT_TOO_LARGE and kills the program', async () => {
    await assert.rejects(
      runCommand('cat', ['/dev/zero'], { timeoutMs, maxOutputBytes: 4096 }),
      failsWith('OUTPUT_TOO_LARGE'),
    );
  });
});
