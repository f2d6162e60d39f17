import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { CommandError, runCommand } from '../../shared/exec/run-command.ts';
import { runLight } from '../../shared/exec/run-light.ts';
import { eventually } from '../kit/eventually.ts';

const TIMEOUT_MS = 20_000;
const failsWith = (code: string) => (error: unknown) => error instanceof CommandError && error.code === code;

/** What it is open on; `gone` for the one that the list itself was read by. */
function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return 'gone';
  }
}

describe('runLight', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-light-'));
  const seen = join(folder, 'seen');
  const told = () => readFileSync(seen, 'utf8');
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('answers the exit code and what was said on stderr', async () => {
    const result = await runLight('sh', ['-c', 'echo out; echo err >&2; exit 3'], TIMEOUT_MS);
    assert.deepEqual(result, { exitCode: 3, stdout: '', stderr: 'err\n' });
  });

  it('gives it input, more than a pipe holds, and keeps its output where that is asked for', async () => {
    const input = 'x'.repeat(100_000);
    const kept = await runLight('cat', [], TIMEOUT_MS, { input, keepsOutput: true });
    assert.deepEqual(kept, { exitCode: 0, stdout: input, stderr: '' });
    // As nft(8) and others read what `-` names.
    const opened = await runLight('cat', ['/dev/stdin'], TIMEOUT_MS, { input, keepsOutput: true });
    assert.equal(opened.stdout, input);
  });

  it('rejects with OUTPUT_TOO_LARGE what wrote more than a megabyte', async () => {
    const args = ['-c', '2000000', '/dev/zero'];
    await assert.rejects(runLight('head', args, TIMEOUT_MS, { keepsOutput: true }), failsWith('OUTPUT_TOO_LARGE'));
  });

  it('keeps no descriptor, however it ends', async () => {
    const open = (): readonly string[] => readdirSync('/proc/self/fd').map((fd) => `${fd} ${targetOf(fd)}`);
    await runLight('true', [], TIMEOUT_MS);
    const before = new Set(open());
    await runLight('cat', [], TIMEOUT_MS, { input: 'x', keepsOutput: true });
    await runLight('sleep', ['1000'], 50, { input: 'x', keepsOutput: true }).catch(() => undefined);
    await runLight('/dev/null', [], TIMEOUT_MS, { input: 'x', keepsOutput: true }).catch(() => undefined);
    await runLight('/etc/hostname', [], TIMEOUT_MS, { input: 'x', keepsOutput: true }).catch(() => undefined);
    // Of the program before them one may be closed only now.
    assert.deepEqual(
      open().filter((one) => !before.has(one) && !one.endsWith(' gone')),
      [],
    );
  });

  it('looks for a program again that is not where it was', async () => {
    const program = join(folder, 'program');
    const put = (): void => writeFileSync(program, '#!/bin/sh\nexit 3\n', { mode: 0o755 });
    put();
    assert.equal((await runLight(program, [], TIMEOUT_MS)).exitCode, 3);
    rmSync(program);
    await assert.rejects(runLight(program, [], TIMEOUT_MS), failsWith('NOT_FOUND'));
    put();
    assert.equal((await runLight(program, [], TIMEOUT_MS)).exitCode, 3);
  });

  it('adds to the environment', async () => {
    const { stdout } = await runLight('env', [], TIMEOUT_MS, { env: { LOCK: 'none' }, keepsOutput: true });
    assert.match(stdout, /^LOCK=none$/m);
  });

  it('answers that a signal ended it', async () => {
    assert.equal((await runLight('sh', ['-c', 'kill -TERM $$'], TIMEOUT_MS)).exitCode, null);
  });

  it('passes arguments as they are', async () => {
    const args = ['a b', '$(id)', '; reboot', ''];
    await runLight('sh', ['-c', `printf '%s|' "$@" > ${seen}`, 'sh', ...args], TIMEOUT_MS);
    assert.equal(told(), 'a b|$(id)|; reboot||');
  });

  it('starts it in a session of its own, with a fresh environment, fresh signals, and no descriptor of ours', async () => {
    process.env.RUN_LIGHT_SECRET = 'x';
    // A shell blocks signals while it starts something: it becomes the program that looks at them.
    const script = `{ env; ls /proc/self/fd | grep -xE '.|1[0-5]' | wc -l; cut -d' ' -f6 /proc/$$/stat; echo $$; } > ${seen}; exec grep -E '^Sig(Blk|Ign)' /proc/self/status >> ${seen}`;
    await runLight('sh', ['-c', script], TIMEOUT_MS);
    delete process.env.RUN_LIGHT_SECRET;
    const lines = told().trim().split('\n');
    assert.ok(lines.every((line) => !line.includes('SECRET')));
    const [descriptors, session, pid, blocked, ignored] = lines.slice(-5);
    // Its three, and the folder that ls reads. Node marks what itself inherited up to 15, and further while there is no gap.
    assert.equal(descriptors, '4');
    assert.equal(session, pid);
    assert.match(blocked ?? '', /\t0+$/);
    assert.match(ignored ?? '', /\t0+$/);
  });

  it('tells many that end at once apart, also beside programs that Node started', async () => {
    const codes = Array.from({ length: 20 }, (_, index) => index);
    const light = codes.map(async (code) => (await runLight('sh', ['-c', `exit ${code}`], TIMEOUT_MS)).exitCode);
    const forked = codes.map(
      async (code) => (await runCommand('sh', ['-c', `exit ${code}`], { timeoutMs: TIMEOUT_MS })).exitCode,
    );
    assert.deepEqual(await Promise.all([...light, ...forked]), [...codes, ...codes]);
  });

  it('does not wait for what it leaves behind', async () => {
    const { exitCode } = await runLight('sh', ['-c', `sleep 1000 & echo $! > ${seen}`], TIMEOUT_MS);
    assert.equal(exitCode, 0);
    process.kill(Number(told()), 'SIGKILL');
  });

  it('kills what takes too long, with all that it started, and leaves no zombie', async () => {
    await assert.rejects(runLight('sh', ['-c', `sleep 1000 & echo $$ > ${seen}; wait`], 500), failsWith('TIMED_OUT'));
    // Nothing is told on a machine so slow that the shell had not begun by then.
    const pid = told().trim() || 'none';
    const isLeft = () =>
      execFileSync('ps', ['-eo', 'pid,pgid'], { encoding: 'utf8' })
        .split('\n')
        .some((line) => line.trim().split(/\s+/).includes(pid));
    await eventually('the end of both', TIMEOUT_MS, () => !isLeft());
  });

  it('rejects for what cannot be started', async () => {
    await assert.rejects(runLight('/nonexistent/program', [], TIMEOUT_MS), failsWith('NOT_FOUND'));
    await assert.rejects(runLight('no-such-program', [], TIMEOUT_MS), failsWith('NOT_FOUND'));
    await assert.rejects(runLight('/', [], TIMEOUT_MS), failsWith('NOT_STARTED'));
  });
});
