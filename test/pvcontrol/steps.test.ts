// pvcontrol brings objects and revisions to a real ctl-svc, and says what became of them.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { PATIENCE_MS } from '../kit/eventually.ts';
import { usePvcontrol } from './program.ts';

const CONTENT = 'an object, with some bytes to it\n';
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');
const SHA = digestOf(CONTENT);

const pv = usePvcontrol();
beforeEach(() => {
  const { store } = pv.rig.world;
  store.objects.clear();
  store.problems = [];
  store.roomBytes = 1 << 30;
  store.busy = undefined;
});
const { run } = pv;

function file(name: string, text: string): string {
  const path = join(pv.program.folder, name);
  writeFileSync(path, text);
  return path;
}

/** As berth pack makes them; `extra` are entries that nobody asked for. */
function archive(name: string, objects: readonly string[], extra: readonly string[] = []): string {
  const folder = join(pv.program.folder, `${name}.d`);
  mkdirSync(join(folder, 'objects'), { recursive: true });
  writeFileSync(join(folder, 'json'), '{"#spec":"pantavisor-service-system@1"}');
  for (const text of objects) writeFileSync(join(folder, 'objects', digestOf(text)), text);
  for (const each of extra) writeFileSync(join(folder, each), 'x');
  const path = join(pv.program.folder, name);
  execFileSync('tar', ['-czf', path, '-C', folder, 'json', 'objects', ...extra]);
  return path;
}

describe('pvcontrol objects', () => {
  it('puts a file, and as many bytes of standard input as are said', async () => {
    assert.deepEqual(await run('objects', 'put', file('object', CONTENT), SHA), {
      exitCode: 0,
      stdout: '',
      stderr: '',
    });
    assert.equal(pv.rig.world.store.objects.get(SHA)?.toString(), CONTENT);
    pv.rig.world.store.objects.clear();
    const put = await pv.program.runWith(CONTENT, '-s', pv.rig.host, 'objects', 'put', `-${CONTENT.length}`, SHA);
    assert.deepEqual(put, { exitCode: 0, stdout: '', stderr: '' });
    assert.equal(pv.rig.world.store.objects.get(SHA)?.toString(), CONTENT);
  });

  it('puts no more of standard input than that, and says so where there is less', async () => {
    const all = CONTENT + 'x'.repeat(1_000_000);
    const put = (bytes: number) => pv.program.runWith(all, '-s', pv.rig.host, 'objects', 'put', `-${bytes}`, SHA);
    assert.deepEqual(await put(CONTENT.length), { exitCode: 0, stdout: '', stderr: '' });
    assert.equal(pv.rig.world.store.objects.get(SHA)?.toString(), CONTENT);
    pv.rig.world.store.objects.clear();
    assert.deepEqual(await put(all.length + 1), {
      exitCode: 255,
      stdout: '',
      stderr: `pvcontrol: standard input: it ended after ${all.length} of ${all.length + 1} bytes\n`,
    });
    assert.equal(pv.rig.world.store.objects.size, 0);
  });

  it('does not wait for the end of standard input', { timeout: PATIENCE_MS }, async (t) => {
    const words = ['-s', pv.rig.host, 'objects', 'put', `-${CONTENT.length}`, SHA];
    const child = spawn(process.execPath, [join(pv.program.folder, 'pvcontrol.cjs'), ...words]);
    t.after(() => child.kill('SIGKILL'));
    child.stdin.write(`${CONTENT}and more`);
    const [exitCode] = await once(child, 'close');
    assert.equal(exitCode, 0);
    assert.equal(pv.rig.world.store.objects.get(SHA)?.toString(), CONTENT);
  });

  it('puts many times what a socket holds, without a word', async () => {
    const large = 'x'.repeat(5_000_000);
    const put = await run('objects', 'put', file('large', large), digestOf(large));
    assert.deepEqual(put, { exitCode: 0, stdout: '', stderr: '' });
  });

  it('puts what a pipe brings, of which nobody knows the size', async () => {
    const put = await pv.program.runShell(
      `pvcontrol -s ${pv.rig.host} objects put <(printf '%s\\n' '${CONTENT.trim()}') ${SHA}`,
    );
    assert.deepEqual(put, { exitCode: 0, stdout: '', stderr: '' });
    assert.equal(pv.rig.world.store.objects.get(SHA)?.toString(), CONTENT);
  });

  it('says so when what it got cannot be written, and nothing when nobody reads all of it', async () => {
    const large = 'x'.repeat(5_000_000);
    mkdirSync(join(pv.rig.folder, 'objects'), { recursive: true });
    writeFileSync(join(pv.rig.folder, 'objects', digestOf(large)), large);
    for (const command of [`objects get ${digestOf(large)}`, 'ls', '--help']) {
      const ran = await pv.program.runShell(`pvcontrol -s ${pv.rig.host} ${command} > /dev/full`);
      const stderr = 'pvcontrol: the answer cannot be written: ENOSPC: no space left on device, write\n';
      assert.deepEqual(ran, { exitCode: 255, stdout: '', stderr }, command);
    }
    const head = `pvcontrol -s ${pv.rig.host} objects get ${digestOf(large)} | head -c 1; echo " \${PIPESTATUS[0]}"`;
    assert.deepEqual(await pv.program.runShell(head), { exitCode: 0, stdout: 'x 0\n', stderr: '' });
  });

  it('gets one to standard output', async () => {
    mkdirSync(join(pv.rig.folder, 'objects'), { recursive: true });
    writeFileSync(join(pv.rig.folder, 'objects', SHA), CONTENT);
    assert.deepEqual(await run('objects', 'get', SHA), { exitCode: 0, stdout: CONTENT, stderr: '' });
    assert.equal((await run('objects', 'get', 'f'.repeat(64))).stderr, '{"Error":"Object not found"}\n');
  });

  it('ends with the code of what went wrong', async () => {
    const path = file('object', CONTENT);
    assert.equal((await run('objects', 'put', path, 'f'.repeat(64))).exitCode, 60);
    pv.rig.world.store.roomBytes = 3;
    assert.equal((await run('objects', 'put', path, SHA)).exitCode, 48);
    const missing = await run('objects', 'put', '/nowhere/file', SHA);
    assert.equal(missing.exitCode, 255);
    assert.match(missing.stderr, /ENOENT: no such file or directory, .*'\/nowhere\/file'/);
    for (const words of [
      ['objects', 'put', pv.program.folder, SHA],
      ['steps', 'install', pv.program.folder, 'locals/x'],
    ]) {
      const { exitCode, stderr } = await run(...words);
      assert.deepEqual([exitCode, stderr], [255, `pvcontrol: ${pv.program.folder}: is a folder; name a file\n`]);
    }
  });

  it('shows on a terminal how far an upload is', async () => {
    const path = file('object', CONTENT);
    const { stdout } = await pv.program.onTerminal(80, {}, '-s', pv.rig.host, 'objects', 'put', path, SHA);
    assert.match(stdout, /█{30} 100%/);
  });
});

describe('pvcontrol steps', () => {
  it('installs an archive: every object, then the state', async () => {
    const path = archive('my app.tgz', [CONTENT, 'another']);
    assert.deepEqual(await run('steps', 'install', path, 'locals/two'), {
      exitCode: 0,
      stdout: '{"revision":"locals/two"}\n',
      stderr: '',
    });
    assert.deepEqual([...pv.rig.world.store.objects.keys()].sort(), [SHA, digestOf('another')].sort());
    assert.ok(pv.rig.world.store.steps.has('locals/two'));
    const named = await run('--table', 'steps', 'install', path);
    assert.deepEqual(named, { exitCode: 0, stdout: 'locals/my-app\n', stderr: '' });
  });

  it('refuses a name that no revision can have before anything is sent', async () => {
    for (const [name, words] of [
      ['locals/', [archive('.tgz', [CONTENT])]],
      ['two', [archive('two.tgz', [CONTENT]), 'two']],
      [`locals/${'x'.repeat(65)}`, [archive('long.tgz', [CONTENT]), `locals/${'x'.repeat(65)}`]],
    ] as const) {
      const { exitCode, stderr } = await run('steps', 'install', ...words);
      assert.deepEqual([exitCode, pv.rig.world.store.objects.size], [255, 0]);
      assert.ok(stderr.startsWith(`pvcontrol: '${name}' cannot be the name of a revision: `), stderr);
    }
    const long = await run('--table', 'steps', 'install', archive(`${'x'.repeat(80)}.tgz`, [CONTENT]));
    assert.equal(long.stdout, `locals/${'x'.repeat(64)}\n`);
    pv.rig.world.store.steps.delete(long.stdout.trim());
  });

  it('passes over what is no object, and takes nothing out of the archive onto the disk', async () => {
    assert.equal((await run('steps', 'install', archive('more.tgz', [CONTENT], ['readme']))).exitCode, 0);
  });

  it('says all that is wrong with a state, and ends with 70', async () => {
    pv.rig.world.store.problems = [
      { path: 'a/run.json', code: 'X', message: 'is wrong' },
      { path: '', code: 'Y', message: 'and so is this' },
    ];
    assert.deepEqual(await run('--table', 'steps', 'put', file('state', '{}'), 'locals/one'), {
      exitCode: 70,
      stdout: '',
      stderr: 'pvcontrol: State verification has failed\n  a/run.json: is wrong\n  and so is this\n',
    });
  });

  it('names an archive that is none', async () => {
    const { exitCode, stderr } = await run('steps', 'install', file('plain.tgz', 'no gzip at all'));
    assert.equal(exitCode, 255);
    assert.match(stderr, /plain\.tgz: it is not compressed with gzip; berth pack -o FILE\.tgz makes one/);
    const empty = join(pv.program.folder, 'empty.tgz');
    execFileSync('tar', ['-czf', empty, '-T', '/dev/null']);
    assert.match((await run('steps', 'install', empty)).stderr, /holds no json, the state of the revision/);
  });

  it('runs one, and says who is in the way', async () => {
    assert.equal((await run('cmd', 'run', '0')).exitCode, 0);
    assert.equal((await run('cmd', 'reboot', 'for a change')).exitCode, 0);
    assert.deepEqual(pv.rig.world.store.commands.slice(-2), ['LOCAL_RUN 0', 'REBOOT_DEVICE for a change']);
    pv.rig.world.store.busy = 'an update is in progress';
    const busy = await run('--table', 'cmd', 'run', '0');
    assert.deepEqual(
      [busy.exitCode, busy.stderr],
      [75, 'pvcontrol: LOCAL_RUN has to wait: an update is in progress\n'],
    );
    assert.match((await run('cmd', 'run')).stderr, /cmd run: the REV, the name of a revision, is missing/);
  });

  it('lists revisions and tells their progress', async () => {
    const { stdout } = await pv.program.onTerminal(100, { NO_COLOR: '1' }, '-s', pv.rig.host, 'steps', 'ls');
    assert.match(stdout, /^NAME +STATUS +WHAT IT MEANS +AGE +MESSAGE/m);
    assert.match((await run('steps', 'show-progress', 'current')).stdout, /"status":"NEW"/);
    const unknown = await run('--table', 'steps', 'show-progress', 'nope');
    assert.deepEqual([unknown.exitCode, unknown.stdout], [255, '']);
    assert.match(unknown.stderr, /^pvcontrol: Step not found: 'nope'\. There are: 0\b/);
    assert.equal((await run('storage', 'gc')).stdout, '{"reclaimed":42}\n');
    assert.match((await run('buildinfo')).stdout, /^berth /);
  });

  it('tells people why a revision failed, line by line, and programs what the API says', async (t) => {
    const { store } = pv.rig.world;
    const NEW = store.progress;
    t.after(() => {
      store.progress = NEW;
    });
    const line = { tsec: 1, tnano: 0, platform: 'pantavisor', lvl: 'ERROR', src: 'state', msg: 'no \u001b[31m/init' };
    const logs = `${JSON.stringify(line)}\nhook: no modem\n`;
    store.progress = { status: 'ERROR', 'status-msg': 'It could not start', progress: 100, retries: 2, logs };
    const told = await run('--table', 'steps', 'show-progress', '0');
    assert.deepEqual(told.stdout.split('\n'), [
      'status    ERROR: It could not start',
      'progress  100 %, 2 retries',
      'log       ERROR state: no ?[31m/init',
      '          hook: no modem',
      '',
    ]);
    assert.deepEqual(JSON.parse((await run('steps', 'show-progress', '0')).stdout), store.progress);
  });
});

describe('pvcontrol completion', () => {
  /** What bash would offer after these words. */
  const offers = async (...words: string[]): Promise<readonly string[]> => {
    const script = `pvcontrol() { "$NODE" "$PROGRAM" "$@"; }
      source <(pvcontrol completion bash)
      COMP_WORDS=(pvcontrol "$@"); COMP_CWORD=$#; _pvcontrol; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { PATH: process.env.PATH, NODE: process.execPath, PROGRAM: join(pv.program.folder, 'pvcontrol.cjs') };
    const { stdout } = await promisify(execFile)('bash', ['-c', script, 'bash', ...words], { env });
    return stdout.trim().split('\n');
  };

  it('offers commands, their forms, names and options', async () => {
    assert.ok((await offers('')).includes('containers'));
    assert.deepEqual(await offers('containers', 'st'), ['start', 'stop']);
    assert.deepEqual(await offers('-s', pv.rig.host, 'containers', 'stop', ''), ['web', 'base', 'waits']);
    assert.deepEqual(await offers('ls', '--j'), ['--json']);
    assert.deepEqual(await offers('-f', 'FILE', '-m', 'text', 'containers', 'st'), ['start', 'stop']);
    assert.deepEqual(await offers('-s', pv.rig.host, 'logs', '-f', 'w'), ['web', 'waits']);
  });
});
