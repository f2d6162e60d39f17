// What an init runs to end Berth: only when the machine goes down are the containers to be stopped.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { ROOT } from './image.ts';

const PATIENCE_MS = 20_000;
const SCRIPT = join(ROOT, 'scripts/host/init-stop');

describe('init-stop', () => {
  let folder = '';
  let berth: ChildProcess;
  let output = '';
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-init-stop-'));
    // Stands in for `berth run`: says by which signal it was ended.
    const program =
      "for (const s of ['SIGPWR', 'SIGTERM']) process.on(s, () => { console.log(s); process.exit() }); console.log('up'); setInterval(() => {}, 1e6)";
    berth = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    output = '';
    berth.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await eventually('the stand-in up', PATIENCE_MS, () => output === 'up\n');
  });
  afterEach(async () => {
    if (berth.exitCode === null && berth.signalCode === null) {
      const exited = once(berth, 'exit');
      berth.kill('SIGKILL');
      await exited;
    }
    rmSync(folder, { recursive: true });
  });

  const run = (state: string, ...words: readonly string[]): number | null => {
    writeFileSync(join(folder, 'systemctl'), `#!/bin/sh\necho ${state}\n`, { mode: 0o755 });
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH ?? ''}` };
    return spawnSync(SCRIPT, words, { env }).status;
  };

  it('leaves Berth alone when only its unit is stopped', () => {
    assert.equal(run('running', String(berth.pid)), 0);
    assert.deepEqual([berth.exitCode, berth.signalCode], [null, null]);
  });

  it('has it stop the containers when the machine goes down, and waits until that is done', async () => {
    writeFileSync(join(folder, 'systemctl'), '#!/bin/sh\necho stopping\n', { mode: 0o755 });
    const child = spawn(SCRIPT, [String(berth.pid)], {
      env: { ...process.env, PATH: `${folder}:${process.env.PATH ?? ''}` },
      stdio: 'ignore',
    });
    await eventually('its end', PATIENCE_MS, () => child.exitCode !== null);
    assert.deepEqual([child.exitCode, berth.exitCode], [0, 0]);
    await eventually('its last words', PATIENCE_MS, () => output === 'up\nSIGPWR\n');
  });

  /** In a /run of its own: Berth's pid there, what init-stop leaves, and what init-run does then, whose sleep is an echo. */
  const GOES_DOWN = [
    'mount -t tmpfs run /run && echo "$1" >/run/berth.pid',
    '"$0/init-stop" going-down && ls /run',
    `sed 's/exec sleep 1000/exec echo waits/' "$0/init-run" | sh`,
  ].join(' && ');

  it('has other inits, which would start Berth over, start none while the machine goes down', async () => {
    const words = ['--mount', '--propagation', 'private', 'sh', '-c', GOES_DOWN, dirname(SCRIPT), String(berth.pid)];
    const child = spawn('unshare', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    assert.equal(said, 'berth.going-down\nberth.pid\nwaits\n');
    await eventually('its last words', PATIENCE_MS, () => output === 'up\nSIGPWR\n');
  });

  it('has nothing to do for a Berth that has ended, or of which nobody knows', () => {
    for (const words of [['99999999'], [''], ['no-pid']]) assert.equal(run('stopping', ...words), 0);
  });
});
