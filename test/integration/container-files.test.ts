// Files that a container writes its log to, on a real tree: over rotation, truncation, kills of both services, and a restart.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ask, containerRows, get, healthAnswer, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const LINES = 300;
/** Where it waits until it is told to go on. */
const HELD = 250;
/** Two files, one in a tmpfs that only the container has; the first is renamed every hundred lines, as a log daemon does. */
const INIT = `#!/bin/sh
trap 'exit 0' TERM PWR
write() {
  /bin/busybox mkdir -p /var/log
  n=0
  while [ $n -lt ${LINES} ]; do
    while [ -e /tmp/hold ]; do /bin/busybox sleep 0.05; done
    n=$((n + 1))
    echo "message $n" >> /var/log/messages
    echo "app $n" >> /run/app.log
    [ $n = ${HELD} ] && : > /tmp/hold
    [ $((n % 100)) = 0 ] && /bin/busybox mv /var/log/messages /var/log/messages.0
    /bin/busybox sleep 0.02
  done
  while :; do /bin/busybox sleep 1; done
}
echo "console of a run"
/bin/busybox mkfifo /tmp/pipe
write &
wait $!
`;

const ARGUMENTS = {
  PV_GROUP: 'app',
  PV_RESTART_POLICY: 'container',
  PV_LXC_EXTRA_CONF: 'lxc.signal.halt = SIGTERM',
};

function packLogger(): string {
  const source = mkdtempSync(join(tmpdir(), 'berth-logger-'));
  const folder = join(source, 'containers/logger');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(source, 'device.json'), '{}');
  writeFileSync(join(folder, 'args.json'), JSON.stringify(ARGUMENTS));
  writeFileSync(join(folder, 'init'), INIT);
  const folders = ['dev', 'etc', 'proc', 'run', 'sys', 'var'].map((name) => `dir /${name}`);
  const list = ['file /bin/busybox /usr/bin/busybox|/bin/busybox 0755', 'link /bin/sh busybox', 'file /init init 0755'];
  writeFileSync(join(folder, 'rootfs.list'), `${[...list, ...folders, 'dir /tmp 1777'].join('\n')}\n`);
  const storage = packExample(source);
  rmSync(source, { recursive: true });
  const path = join(storage, 'trails/0/.pvr/json');
  const state = JSON.parse(readFileSync(path, 'utf8'));
  state['logger/run.json'].logs = [
    { file: '/run/app.log', truncate: 'true', maxsize: '2097152', name: 'app' },
    { file: '/tmp/pipe' },
    { console: 'enable' },
  ];
  writeFileSync(path, JSON.stringify(state));
  return storage;
}

describe('integration.container-files', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packLogger());
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  const lines = (file: string) => tree.readLog(`logger/${file}`).trim().split('\n');
  const arrived = (file: string, line: string) =>
    eventually(`${line} in ${file}`, PATIENCE_MS, () => lines(file).includes(line));
  const pidOf = async (service: string) => {
    const found = (await get(tree.socket, '/services', serviceRows)).find(({ name }) => name === service);
    return found?.pid ?? assert.fail(service);
  };
  const root = async () => {
    const [row] = await get(tree.socket, '/containers', containerRows);
    return `/proc/${row?.pid}/root`;
  };
  const inside = (command: string) => assert.equal(tree.inside(['sh', '-c', command]).status, 0, command);
  const expected = (word: string) => Array.from({ length: LINES }, (_, at) => `${word} ${at + 1}`);

  it('has every line once, over rotation, truncation and kills of both services', async () => {
    await arrived('var/log/messages', 'message 30');
    inside(`kill -KILL ${await pidOf('lxc-svc')}`);
    await arrived('var/log/messages', 'message 130');
    inside(`kill -KILL ${await pidOf('log-svc')}`);
    // Nobody can read what is taken away before it is read: once it is all here.
    await arrived('run/app.log', `app ${HELD}`);
    await arrived('var/log/messages', `message ${HELD}`);
    const container = await root();
    await eventually('it waits', PATIENCE_MS, () => tree.inside(['test', '-e', `${container}/tmp/hold`]).status === 0);
    inside(`: > ${container}/run/app.log; : > ${container}/var/log/messages; rm ${container}/tmp/hold`);
    await arrived('run/app.log', `app ${LINES}`);
    await arrived('var/log/messages', `message ${LINES}`);
    assert.deepEqual(lines('run/app.log'), expected('app'));
    assert.deepEqual(lines('var/log/messages'), expected('message'));
  });

  it('refuses a FIFO with one line, and is well', async () => {
    const log = tree.readLog('pantavisor/pantavisor.log');
    const said = log.match(/logger: \/tmp\/pipe is not followed: it is a FIFO/g) ?? [];
    // Once per life of lxc-svc, of which there were two.
    assert.ok(said.length >= 1 && said.length <= 2, `${said.length}`);
    const { reasons } = await get(tree.socket, '/health', healthAnswer);
    assert.deepEqual(
      reasons.filter(({ code }) => code.startsWith('LOG_')),
      [],
    );
  });

  it('repeats nothing of the console or the files after a stop and a start', async () => {
    const before = tree.readLog('logger/lxc/console.log');
    assert.equal(before.match(/console of a run/g)?.length, 1);
    for (const [action, status] of [
      ['stop', 'STOPPED'],
      ['start', 'STARTED'],
    ]) {
      assert.deepEqual(await ask(tree.socket, 'PUT', '/containers/logger', { action }), { status: 200, body: '' });
      await eventually(`${status}`, PATIENCE_MS, async () => {
        const [row] = await get(tree.socket, '/containers', containerRows);
        return row?.status === status;
      });
    }
    await eventually('a second run', PATIENCE_MS, () => {
      const again = lines('run/app.log').filter((line) => line === 'app 20').length;
      return again === 2;
    });
    assert.equal(tree.readLog('logger/lxc/console.log').match(/console of a run/g)?.length, 2);
    assert.equal(lines('var/log/messages').filter((line) => line === 'message 150').length, 1);
  });
});
