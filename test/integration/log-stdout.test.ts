// Logs on the stdout of `berth run`: read, not read, and closed; and those of the kernel.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { NODE_INSIDE, PROGRAM_INSIDE, STORAGE_INSIDE } from '../../scripts/sandbox/sandbox.ts';
import { ask, containerRows, get, healthAnswer, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const TO_STDOUT = ['--set', 'PV_LOG_SERVER_OUTPUTS=filetree,stdout'];

describe('integration.log-stdout', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
  });
  after(() => tree.close());
  /** 503 is the answer of a tree that is not as it should be. */
  const reasons = async () => {
    const { body } = await ask(tree.socket, 'GET', '/health');
    return healthAnswer.parse(JSON.parse(body)).reasons.filter(({ subject }) => subject === 'stdout');
  };
  const isAlive = async () => (await get(tree.socket, '/containers', containerRows)).length > 0;

  it('shows services and containers to whoever started it', async () => {
    tree.start([...TO_STDOUT, '--set', 'PV_LOG_CAPTURE_DMESG=1']);
    await tree.up();
    await eventually('a console’s line', PATIENCE_MS, () =>
      /\] INFO {2}\[net-client\] \[lxc\/console\.log\] server: hello/.test(tree.output()),
    );
    await eventually('a service’s line', PATIENCE_MS, () =>
      /\] INFO {2}\[pantavisor\] \[state\] revision 0 is READY/.test(tree.output()),
    );
    assert.match(tree.output(), /^berth: /m, 'and its own lines still');
  });

  it('has every line of the kernel, whenever log-svc is killed', async () => {
    const mark = `berth test ${process.pid} ${performance.now()}`;
    const seen = () =>
      new Set(tree.readLog('pantavisor/pantavisor.log').match(new RegExp(`WARN {2}\\[dmesg\\] ${mark} \\d+$`, 'gm')));
    const logSvc = async () =>
      (await get(tree.socket, '/services', serviceRows)).find(
        ({ name, state }) => name === 'log-svc' && state === 'ready',
      );
    for (let said = 0; said < 900; said++) {
      // Each line from an opening of its own: of one the kernel takes ten in five seconds (printk_devkmsg).
      writeFileSync('/dev/kmsg', `<4>${mark} ${said}\n`);
      if (said % 300 !== 150) continue;
      const { pid } = await eventually('log-svc', PATIENCE_MS, logSvc);
      tree.inside(['kill', '-KILL', String(pid)]);
    }
    await eventually('all of them', PATIENCE_MS, () => seen().size === 900).catch((error: unknown) =>
      assert.fail(`${error}: ${seen().size}`),
    );
    assert.ok(!tree.readLog('pantavisor/pantavisor.log').includes('it overwrote them'));
    assert.equal(await tree.endSupervisor('SIGTERM'), 0);
  });

  it('lives with a reader that does not read, and with none, and says so', async () => {
    const fifo = join(tree.rundir, '../out');
    tree.inside(['mkfifo', fifo]);
    const reader = tree.spawnInside(['sh', '-c', `exec sleep 600 < ${fifo}`]);
    const run = [
      NODE_INSIDE,
      `${PROGRAM_INSIDE}/berth.js`,
      'run',
      '--storage',
      STORAGE_INSIDE,
      '--rundir',
      tree.rundir,
    ];
    const supervisor = tree.spawnInside(['sh', '-c', `exec ${[...run, ...TO_STDOUT].join(' ')} > ${fifo}`]);
    const gone = once(supervisor, 'exit');
    const [row] = await tree.up();
    const folder = `/proc/${row?.pid}/root/var/log`;
    const fill = `mkdir -p ${folder} && yes 'one of many lines' | head -n 40000 > ${folder}/messages`;
    assert.equal(tree.inside(['sh', '-c', fill]).status, 0);
    await eventually('a reason', PATIENCE_MS, async () =>
      /nobody reads it; \d+ lines dropped/.test((await reasons())[0]?.message ?? ''),
    );
    assert.ok(await isAlive());
    tree.sandbox.signal(reader, 'SIGKILL');
    await eventually('EPIPE', PATIENCE_MS, async () => /EPIPE/.test((await reasons())[0]?.message ?? ''));
    assert.ok(await isAlive());
    tree.sandbox.signal(supervisor, 'SIGINT');
    assert.deepEqual(await gone, [0, null]);
  });
});
