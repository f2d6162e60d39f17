// Between a restart and lxc-svc's word on what lives nobody is told that what runs does not: the lists are a 503 until they are true.
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, afterEach, before, describe, it } from 'node:test';
import { STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { ask, containerRows, get, groupRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, PROGRAM, packExample, type Tree } from '../kit/tree.ts';

/** While it is there, lxc-svc comes no further than its first line. */
const HOLD = 'hold-lxc-svc';
const WAITS = `while (require('node:fs').existsSync('${STORAGE_INSIDE}/${HOLD}'))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);\n`;

describe('crash.lists', () => {
  let program: string;
  let tree: Tree;
  before(async () => {
    program = mkdtempSync(join(tmpdir(), 'berth-program-'));
    cpSync(PROGRAM, program, { recursive: true });
    chmodSync(program, 0o755);
    const bundle = join(program, 'lxc-svc.js');
    writeFileSync(bundle, `${WAITS}${readFileSync(bundle, 'utf8')}`);
    tree = await openTree(packExample('01-basic'), program);
    tree.start();
    await tree.up();
  });
  const letGo = (): void => rmSync(join(tree.storage, HOLD), { force: true });
  afterEach(letGo);
  after(async () => {
    await tree.close();
    rmSync(program, { recursive: true });
  });

  /** What runs, and as whom, as both lists say. */
  const standing = async () => ({
    containers: (await get(tree.socket, '/containers', containerRows)).map(({ name, status, pid }) => [
      name,
      status,
      pid,
    ]),
    groups: (await get(tree.socket, '/groups', groupRows)).map(({ name, status }) => [name, status]),
  });

  const holdsWhileUnknown = async (restart: () => Promise<void>): Promise<void> => {
    const truth = await standing();
    writeFileSync(join(tree.storage, HOLD), '');
    await restart();
    for (const path of ['/containers', '/groups', '/containers/net-server']) {
      const answer = await eventually(`an answer to ${path}`, PATIENCE_MS, () =>
        // ctl-svc restarts as well, which ends the connections that it had taken.
        ask(tree.socket, 'GET', path).catch(() => undefined),
      );
      const error = 'state-svc has not said yet which containers there are; try again';
      assert.deepEqual(answer, { status: 503, body: JSON.stringify({ Error: error }) });
    }
    letGo();
    await eventually('lists', PATIENCE_MS, async () => (await ask(tree.socket, 'GET', '/containers')).status === 200);
    assert.deepEqual(await standing(), truth);
  };

  it('are held after a restart of the whole tree', () =>
    holdsWhileUnknown(async () => {
      await tree.killSupervisor();
      tree.start();
    }));

  it('are held after a restart of ctl-svc and state-svc while lxc-svc is away', () =>
    holdsWhileUnknown(async () => {
      const services = tree.processes().filter((pid) => /(?:lxc|state|ctl)-svc[.]js/.test(commandLine(pid)));
      assert.equal(services.length, 3);
      for (const pid of services) process.kill(pid, 'SIGKILL');
    }));
});

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
