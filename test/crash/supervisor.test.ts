// The supervisor may die at any time: its services go with it, containers and their network stay, the next one takes over.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { containerRows, get, leaseRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, PROGRAM, packExample, type Tree } from '../kit/tree.ts';

const SERVICES = ['ctl-svc.js', 'ipam-svc.js', 'log-svc.js', 'lxc-svc.js', 'net-svc.js', 'state-svc.js'];

describe('crash.supervisor', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  /** Everything of the running revision that must be the same before and after. */
  const snapshot = async () => ({
    pids: (await get(tree.socket, '/containers', containerRows)).map(({ name, pid, status }) => ({
      name,
      pid,
      status,
    })),
    leases: await get(tree.socket, '/ipam/leases', leaseRows),
    namespaces: tree.inside([
      'sh',
      '-c',
      `stat -f -c %T ${tree.rundir}/netns/*; stat -L -c '%n %i' ${tree.rundir}/netns/*`,
    ]).stdout,
    rules: tree.inside(['nft', 'list', 'ruleset']).stdout,
    mounts: tree.inside(['sh', '-c', 'sort /proc/self/mounts']).stdout,
    loops: tree.loopDevices(),
    // Their names and MACs: of carriers the kernel tells when it has the time.
    links: tree.inside(['sh', '-c', 'ip -o -br link | tr -s " " | cut -d " " -f 1,3']).stdout,
  });
  /** How often each of our bundles runs: one process per service, one reader per log. */
  const processes = () =>
    tree
      .inside([
        'sh',
        '-c',
        "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -o '[a-z]\\+-svc[.]js' | sort",
      ])
      .stdout.trim()
      .split('\n');

  const survives = async (end: () => Promise<unknown>): Promise<void> => {
    const before = await snapshot();
    assert.ok(before.rules.includes('masquerade'), 'there is something to lose');
    await end();
    tree.start();
    await tree.up();
    assert.deepEqual(await snapshot(), before);
    // Those of before end by themselves, each in its time.
    await eventually('one process per service', PATIENCE_MS, () => `${processes()}` === `${SERVICES}`).catch(() =>
      assert.deepEqual(processes(), SERVICES),
    );
  };

  it('is taken over after SIGKILL without restarting anything', () => survives(() => tree.killSupervisor()));

  it('is taken over after SIGTERM without restarting anything', () => survives(() => tree.endSupervisor('SIGTERM')));

  const startIn = (rundir: string) =>
    tree.inside([
      '/run/berth/node',
      '/run/berth/program/berth.js',
      'run',
      '--storage',
      '/run/berth/storage',
      '--rundir',
      rundir,
    ]);

  it('does not start containers a second time in another rundir', () =>
    survives(async () => {
      await tree.endSupervisor('SIGTERM');
      const second = startIn(`${tree.rundir}-2`);
      assert.equal(second.status, 1, second.stdout);
      assert.match(second.stderr, /containers of \/run\/berth\/storage were left running in .*\/run: start with/);
    }));

  it('refuses a second supervisor on the same rundir', () => {
    const second = startIn(tree.rundir);
    assert.equal(second.status, 1);
    assert.match(second.stderr, /another supervisor/);
  });

  it('refuses a second supervisor on the same storage, also in a sandbox', async () => {
    const before = await snapshot();
    const elsewhere = startIn(`${tree.rundir}-2`);
    assert.equal(elsewhere.status, 1);
    assert.match(elsewhere.stderr, /\/run\/berth\/storage is in use by another Berth/);
    const sandboxed = spawnSync(
      process.execPath,
      [join(PROGRAM, 'berth.js'), 'run', '--storage', tree.storage, '--sandbox'],
      { encoding: 'utf8', timeout: PATIENCE_MS },
    );
    assert.equal(sandboxed.status, 1);
    assert.ok(sandboxed.stderr.includes(`${tree.storage} is in use by another Berth`), sandboxed.stderr);
    assert.deepEqual(await snapshot(), before);
  });

  it('is taken over when it was asked to end before it had begun', () =>
    survives(async () => {
      await tree.endSupervisor('SIGTERM');
      tree.start();
      const code = await tree.endSupervisor('SIGTERM');
      assert.ok(code === null || code === 0, `exit code ${code}`);
    }));

  it('stops containers and their network on SIGINT, however often it is sent', async () => {
    const first = tree.endSupervisor('SIGINT');
    // Signals that are pending together are heard in any order, and the first one counts.
    await eventually('the first was heard', PATIENCE_MS, () => tree.output().includes('stopping containers'));
    const impatient = (['SIGINT', 'SIGTERM'] as const).map((signal) => tree.endSupervisor(signal));
    assert.deepEqual(await Promise.all([first, ...impatient]), [0, 0, 0]);
    assert.equal(tree.inside(['sh', '-c', `ls ${tree.rundir}/netns`]).stdout.trim(), '');
    assert.ok(!tree.inside(['ip', '-o', '-br', 'link']).stdout.includes('pvbr0'));
    assert.ok(!tree.inside(['nft', 'list', 'ruleset']).stdout.includes('masquerade'));
    assert.ok(!tree.inside(['cat', '/proc/self/mounts']).stdout.includes('squashfs'));
    assert.deepEqual(tree.loopDevices(), []);
  });
});
