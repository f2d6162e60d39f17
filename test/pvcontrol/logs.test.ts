// pvcontrol logs: every file of a log that is being written, on the host and in containers of either role.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { logFilesInContainer, logFilesOf } from '../../scripts/pvcontrol/log-files.ts';
import { bundleProgram, type Program } from './program.ts';

const WRITTEN = ['lxc/console.log', 'syslog/sshd', 'var/log/messages', 'var/log/syslog'];
const OLD = ['lxc/console.log.000001', 'lxc/console.log.000002.gz', 'lxc/.console.log.000003.gz.part'];

function fill(folder: string, files: readonly string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), `said in ${file}\n`);
  }
}

/** Logs of a revision with a container `web`, as <storage>/logs has them. */
function fillAll(logs: string): void {
  fill(join(logs, 'locals/a/web'), [...WRITTEN, ...OLD]);
  fill(join(logs, 'locals/a/pantavisor'), ['pantavisor.log']);
  mkdirSync(join(logs, 'locals/a/silent'));
  symlinkSync('locals/a', join(logs, 'current'));
}

describe('pvcontrol log files', () => {
  let logs: string;
  const below = (folder: string, files: readonly string[]) => ({
    kind: 'found',
    files: files.map((file) => join(logs, folder, file)),
  });
  beforeEach(() => {
    logs = mkdtempSync(join(tmpdir(), 'logs-'));
  });
  afterEach(() => rmSync(logs, { recursive: true }));

  it('are those that are being written, whatever their names, of a container or of Berth', () => {
    fillAll(logs);
    for (const find of [logFilesOf, logFilesInContainer]) {
      assert.deepEqual(find(logs, 'web'), below('current/web', WRITTEN));
      assert.deepEqual(find(logs, undefined), below('current/pantavisor', ['pantavisor.log']));
      assert.deepEqual(find(logs, 'silent'), { kind: 'none', why: "'silent' has logged nothing yet" });
      for (const name of ['wbe', '../../locals', '']) {
        assert.deepEqual(find(logs, name), {
          kind: 'none',
          why: `no log of '${name}'. There are: pantavisor, silent, web.`,
        });
      }
    }
  });

  it('are its own for a container without role mgmt, which need not name itself', () => {
    assert.deepEqual(logFilesInContainer(logs, undefined), {
      kind: 'none',
      why: 'this container has logged nothing yet',
    });
    fill(logs, [...WRITTEN, ...OLD]);
    assert.deepEqual(logFilesInContainer(logs, undefined), below('', WRITTEN));
    assert.deepEqual(logFilesInContainer(logs, 'db'), {
      kind: 'none',
      why: "only this container's own log is here, without role mgmt: leave out 'db'",
    });
  });

  it('are not looked for where the device is another one', () => {
    assert.deepEqual(logFilesOf(join(logs, 'nowhere'), 'web'), {
      kind: 'none',
      why: `${join(logs, 'nowhere/current')}: not here, but where the device is; a sandbox has it in <its --storage>/logs/current/web`,
    });
  });
});

describe('pvcontrol logs', () => {
  let program: Program;
  let device: Server;
  before(async () => {
    program = await bundleProgram();
    const answers = new Map<string | undefined, unknown>([
      ['/config', { 'log.dir': join(program.folder, 'logs') }],
      ['/health', { status: 'degraded', reasons: [{ code: 'X', subject: 'silent', message: 'it has no /init' }] }],
    ]);
    device = createServer(({ url }, response) => response.end(JSON.stringify(answers.get(url))));
    device.listen(join(program.folder, 'device'));
    await once(device, 'listening');
  });
  after(() => {
    device.close();
    program.remove();
  });

  it('shows the end of each, where the device says that they are', async () => {
    fillAll(join(program.folder, 'logs'));
    const logs = (name: string) => program.run('-s', join(program.folder, 'device'), 'logs', name);
    const { exitCode, stdout } = await logs('web');
    assert.equal(exitCode, 0);
    assert.deepEqual(
      stdout.split('\n').filter((line) => line.startsWith('said')),
      WRITTEN.map((file) => `said in ${file}`),
    );
    assert.deepEqual(await logs('wbe'), {
      exitCode: 255,
      stdout: '',
      stderr: "pvcontrol: no log of 'wbe'. There are: pantavisor, silent, web.\n",
    });
    assert.deepEqual(await logs('silent'), {
      exitCode: 255,
      stdout: '',
      stderr: "pvcontrol: 'silent' has logged nothing yet\n  it has no /init\n",
    });
  });
});
