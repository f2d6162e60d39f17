// Every recovery policy, and every backoff policy, on real containers that end with the code that they are told.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ContainerRow } from '../../shared/schema/api.ts';
import { ask } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';
import { act, rowOf, unhealthy, untilRow, untilStatus } from '../scenarios/look.ts';

const QUICK = { max_retries: 9, retry_delay: 0.1, backoff_factor: 1, stable_timeout: 1, backoff_policy: 'never' };
const RECOVERIES: Readonly<Record<string, object>> = {
  'with-no': { ...QUICK, policy: 'no' },
  'with-always': { ...QUICK, policy: 'always' },
  'with-on-failure': { ...QUICK, policy: 'on-failure' },
  'with-unless-stopped': { ...QUICK, policy: 'unless-stopped' },
  pausing: { ...QUICK, policy: 'on-failure', max_retries: 1, backoff_policy: '1s' },
  'giving-up': { ...QUICK, policy: 'on-failure', max_retries: 1, backoff_policy: 'never' },
  rebooting: { ...QUICK, policy: 'on-failure', max_retries: 1, backoff_policy: 'reboot' },
};

const INIT = `#!/bin/sh
trap 'exit 0' TERM
while [ ! -s /exit-with ]; do /bin/busybox sleep 0.1; done
code=$(/bin/busybox cat /exit-with)
/bin/busybox rm /exit-with
exit "$code"
`;
const ROOT = `file /bin/busybox /usr/bin/busybox|/bin/busybox 0755
link /bin/sh busybox
file /init init 0755
${['dev', 'etc', 'proc', 'run', 'sys', 'tmp'].map((folder) => `dir /${folder}`).join('\n')}
`;

/** Container → its arguments. */
function writeSource(containers: Readonly<Record<string, object>>, init = INIT): string {
  const source = mkdtempSync(join(tmpdir(), 'berth-recovery-'));
  writeFileSync(join(source, 'device.json'), '{}');
  for (const [name, args] of Object.entries(containers)) {
    const folder = join(source, 'containers', name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'args.json'),
      JSON.stringify({ ...args, PV_LXC_EXTRA_CONF: 'lxc.signal.halt = SIGTERM' }),
    );
    writeFileSync(join(folder, 'rootfs.list'), ROOT);
    writeFileSync(join(folder, 'init'), init);
    chmodSync(join(folder, 'init'), 0o755);
  }
  return source;
}

describe('integration.recovery', () => {
  const source = writeSource(
    Object.fromEntries(
      Object.entries(RECOVERIES).map(([name, recovery]) => [name, { PV_GROUP: 'app', PV_AUTO_RECOVERY: recovery }]),
    ),
  );
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample(source));
    tree.start();
    await tree.up();
  });
  after(async () => {
    await tree.close();
    rmSync(source, { recursive: true });
  });

  /** Its init exits with the code; resolves with the row of the run that ended. */
  const exitWith = async (container: string, code: number): Promise<ContainerRow> => {
    const row = await untilRow(tree, container, ({ status, pid }) => status === 'STARTED' && pid !== null);
    const { status, stderr } = tree.inside(['sh', '-c', `echo ${code} > /proc/${row.pid}/root/exit-with`]);
    assert.equal(status, 0, stderr);
    return row;
  };
  const comesBack = (container: string, { pid }: ContainerRow) =>
    untilRow(tree, container, (row) => row.status === 'STARTED' && row.pid !== pid);
  const retriesOf = ({ auto_recovery }: ContainerRow) => auto_recovery?.current_retries;

  it('no: stays STOPPED after a failure, and is not shown as recovery', async () => {
    await exitWith('with-no', 1);
    const row = await untilStatus(tree, 'with-no', 'STOPPED');
    assert.deepEqual([row.exit?.status, row.auto_recovery, row.restarts], [{ kind: 'code', code: 1 }, undefined, 0]);
  });

  it('always: comes back after an exit with 0 and after a failure', async () => {
    assert.equal(retriesOf(await comesBack('with-always', await exitWith('with-always', 0))), 1);
    assert.equal(retriesOf(await comesBack('with-always', await exitWith('with-always', 1))), 2);
  });

  it('on-failure: comes back after a failure and a signal, and stays STOPPED after an exit with 0', async () => {
    const failed = await comesBack('with-on-failure', await exitWith('with-on-failure', 1));
    tree.inside(['kill', '-KILL', String(failed.pid)]);
    assert.equal(retriesOf(await comesBack('with-on-failure', failed)), 2);
    await exitWith('with-on-failure', 0);
    const row = await untilStatus(tree, 'with-on-failure', 'STOPPED');
    assert.deepEqual([row.user_stopped, row.restarts, retriesOf(row)], ['false', 2, 2]);
  });

  it('unless-stopped: comes back after an exit with 0, and not after a stop, also over a restart of Berth', async () => {
    await comesBack('with-unless-stopped', await exitWith('with-unless-stopped', 0));
    await act(tree, 'with-unless-stopped', 'stop');
    await untilStatus(tree, 'with-unless-stopped', 'STOPPED');
    const { pid } = await rowOf(tree, 'pausing');
    await tree.endSupervisor('SIGTERM');
    tree.start();
    await untilRow(tree, 'pausing', (row) => row.pid === pid && row.status === 'STARTED');
    assert.equal((await untilStatus(tree, 'with-unless-stopped', 'STOPPED')).user_stopped, 'true');
    await act(tree, 'with-unless-stopped', 'start');
    await untilStatus(tree, 'with-unless-stopped', 'STARTED');
  });

  it('a duration: waits it out when retries are used up, and starts over with a counter of 0', async () => {
    const first = await comesBack('pausing', await exitWith('pausing', 1));
    assert.equal(retriesOf(first), 1);
    assert.equal(retriesOf(await comesBack('pausing', await exitWith('pausing', 1))), 0);
    await eventually('it is told', PATIENCE_MS, () =>
      /container pausing: .* starting it again in 1000 ms/.test(tree.readLog('pantavisor/pantavisor.log')),
    );
  });

  it('never: stays STOPPED when retries are used up, says so in health, and starts when the user says so', async () => {
    await comesBack('giving-up', await exitWith('giving-up', 1));
    await exitWith('giving-up', 1);
    assert.equal(retriesOf(await untilStatus(tree, 'giving-up', 'STOPPED')), 1);
    await unhealthy(tree, 'RECOVERY_EXHAUSTED', /exited with code 1 after 1 retries/);
    await act(tree, 'giving-up', 'start');
    assert.equal(retriesOf(await untilStatus(tree, 'giving-up', 'STARTED')), 0);
    const { body } = await ask(tree.socket, 'GET', '/health');
    assert.ok(!body.includes('RECOVERY_EXHAUSTED'), body);
  });

  it('reboot: starts the tree over when retries are used up, and everything runs again', async () => {
    await comesBack('rebooting', await exitWith('rebooting', 1));
    await exitWith('rebooting', 1);
    await eventually('a reboot', PATIENCE_MS, () => /reboot for RECOVERY_EXHAUSTED/.test(tree.output()));
    const row = await untilRow(tree, 'rebooting', ({ status, restarts }) => status === 'STARTED' && restarts === 0);
    assert.equal(retriesOf(row), 0);
    await untilStatus(tree, 'with-no', 'STARTED');
  });
});

describe('integration.recovery of a system container', () => {
  it('without auto-recovery starts the tree over when it ends, as soon as that can be counted, three times for one cause, and then stays up', async () => {
    const source = writeSource({ base: { PV_GROUP: 'root' } }, '#!/bin/sh\nexit 7\n');
    const storage = packExample(source);
    const inTheWay = join(storage, 'supervisor/reboots.json.new');
    mkdirSync(inTheWay, { recursive: true });
    const tree = await openTree(storage);
    try {
      tree.start();
      await unhealthy(tree, 'REBOOT_LOOP', /cannot be counted: EISDIR.* container base: its init exited with code 7/);
      rmdirSync(inTheWay);
      await unhealthy(tree, 'REBOOT_LOOP', /rebooted 3 times .* container base: its init exited with code 7/);
      assert.equal(tree.output().match(/reboot for SYSTEM_CONTAINER_DOWN: container base/g)?.length, 3);
      await unhealthy(tree, 'SYSTEM_CONTAINER_DOWN', /only a reboot does/);
      await untilStatus(tree, 'base', 'STOPPED');
    } finally {
      await tree.close();
      rmSync(source, { recursive: true });
    }
  });
});
