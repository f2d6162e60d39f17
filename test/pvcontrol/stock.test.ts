// pvcontrol takes the words and options of Pantavisor's client, and prints to programs what that prints.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { usePvcontrol } from './program.ts';

const CONTENT = 'an object';
const SHA = createHash('sha256').update(CONTENT).digest('hex');
const SILENT = { exitCode: 0, stdout: '', stderr: '' };

describe('pvcontrol for scripts of Pantavisor', () => {
  const pv = usePvcontrol();
  const { run } = pv;
  const inFolder = (name: string): string => join(pv.program.folder, name);
  const state = (): string => {
    writeFileSync(inFolder('state'), '{}');
    return inFolder('state');
  };

  it('lists under both words', async () => {
    const lists = ['usrmeta', 'devmeta', 'objects', 'steps', 'graph', 'containers', 'groups', 'daemons', 'config'];
    for (const words of [[], ...lists.map((list) => [list])]) {
      assert.deepEqual(await run(...words, 'list'), await run(...words, 'ls'), words.join(' '));
    }
    assert.deepEqual(await run('configuration', 'ls'), await run('conf', 'ls'));
    assert.equal((await run('configuration', 'list')).exitCode, 0);
  });

  it('commands under all three', async () => {
    pv.rig.world.store.commands.length = 0;
    for (const word of ['cmd', 'command', 'commands']) assert.deepEqual(await run(word, 'run', '0'), SILENT);
    assert.deepEqual(await run('commands', 'reboot', ''), SILENT);
    assert.deepEqual(pv.rig.world.store.commands, [...Array(3).fill('LOCAL_RUN 0'), 'REBOOT_DEVICE ']);
  });

  it('saves metadata without a value, and of the device by upload', async () => {
    assert.deepEqual(await run('usrmeta', 'save', 'bare'), SILENT);
    assert.equal(pv.rig.world.metadata.user.get('bare'), '');
    assert.deepEqual(await run('devmeta', 'upload', 'serial', 'A1'), SILENT);
    assert.match((await run('devmeta', 'ls')).stdout, /"serial":"A1"/);
  });

  it('gives a revision that it puts or installs a commit message', async () => {
    assert.deepEqual(await run('-m', 'for a test', 'steps', 'put', state(), 'locals/said'), SILENT);
    assert.equal(pv.rig.world.store.steps.get('locals/said')?.commitmsg, 'for a test');
    assert.deepEqual(await run('-m', '', 'steps', 'put', state(), 'locals/silent'), SILENT);

    mkdirSync(inFolder('objects'));
    writeFileSync(inFolder('json'), '{}');
    writeFileSync(inFolder(`objects/${SHA}`), CONTENT);
    const archive = inFolder('app.tgz');
    execFileSync('tar', ['-czf', archive, '-C', pv.program.folder, 'json', 'objects']);
    const installed = await run('-m', 'both', 'steps', 'install', archive, 'locals/app');
    assert.deepEqual(installed, { ...SILENT, stdout: '{"revision":"locals/app"}\n' });
    assert.equal(pv.rig.world.store.steps.get('locals/app')?.commitmsg, 'both');
    assert.equal((await run('--table', 'steps', 'install', archive)).stdout, 'locals/app\n');
  });

  it('says why the message was not taken, of a revision that is there', async () => {
    const long = await run('-m', 'x'.repeat(600), 'steps', 'put', state(), 'locals/wordy');
    assert.equal(long.exitCode, 255);
    assert.match(long.stderr, /^\{"Error":"/);
    assert.ok(pv.rig.world.store.steps.has('locals/wordy'));
  });

  it('prints into the file that -f names before the command', async () => {
    const file = inFolder('out');
    writeFileSync(file, 'x'.repeat(9999));
    assert.deepEqual(await run('-f', file, 'steps', 'get', 'nothing', '--json'), {
      exitCode: 255,
      stdout: '',
      stderr: '{"Error":"Step not found"}\n',
    });
    assert.equal(readFileSync(file, 'utf8'), '');
    const { stdout } = await run('usrmeta', 'ls');
    assert.deepEqual(await run('-f', file, 'usrmeta', 'ls'), SILENT);
    assert.equal(readFileSync(file, 'utf8'), stdout);
    assert.equal((await run('-f', '', 'usrmeta', 'ls')).stdout, stdout);
    const piped = await pv.program.runShell(`pvcontrol -s ${pv.rig.host} -f >(cat >&2) usrmeta ls; wait $!`);
    assert.deepEqual(piped, { ...SILENT, stderr: stdout });
    const refused = await run('-f', inFolder('no/such'), 'cmd', 'reboot');
    assert.deepEqual([refused.exitCode, /ENOENT/.test(refused.stderr)], [1, true]);
  });

  it('gets an object into a file', async () => {
    mkdirSync(join(pv.rig.folder, 'objects'), { recursive: true });
    writeFileSync(join(pv.rig.folder, 'objects', SHA), CONTENT);
    assert.deepEqual(await run('-f', inFolder('got'), 'objects', 'get', SHA), SILENT);
    assert.equal(readFileSync(inFolder('got'), 'utf8'), CONTENT);
  });

  it('tells with -v what it asks, and how that was answered', async () => {
    const { exitCode, stdout, stderr } = await run('-v', 'usrmeta', 'delete', 'nobody');
    assert.deepEqual([exitCode, stdout], [255, '']);
    assert.match(stderr, /^> DELETE \/user-meta\/nobody\n< 404 .*\n\{"Error":.*\}\n$/);
  });

  it('ends with 1 when it was not understood, or has no socket', async () => {
    assert.equal((await run('cmd')).exitCode, 1);
    assert.equal((await run('lss')).exitCode, 1);
    assert.equal((await pv.program.run('-s', inFolder('nowhere'), 'ls')).exitCode, 1);
    assert.ok(!existsSync(inFolder('nowhere')));
  });

  it('passes on the JSON of a failure, which people get as a sentence', async () => {
    const failed = { exitCode: 255, stdout: '' };
    assert.deepEqual(await run('containers', 'stop', 'wbe'), {
      ...failed,
      stderr: '{"Error":"Container not found"}\n',
    });
    const { stdout } = await pv.program.onTerminal(80, {}, '-s', pv.rig.host, 'containers', 'stop', 'wbe');
    assert.match(stdout, /^pvcontrol: Container not found: 'wbe'\. There are: /);
  });
});
