// Devices whose init is Debian's sysvinit, set up by the installer: OpenRC, or a line of inittab, starts Berth, and containers see nothing of
// what happens to it until the machine goes down.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { killSupervisor, packed, settled, stepName, supervisorOf, until } from './device.ts';
import { needs, openTarget, targetName } from './open-target.ts';
import { output, type Target } from './target.ts';

const KEEPS_BERTH = 'a board is to keep its Berth, which is built for its processor';
const ROOT = join(import.meta.dirname, '..');
/** A board keeps the volume, with what earlier runs wrote. */
const NOTE = stepName('note');
const KEPT = `/mnt/kept/${NOTE}`;
/** Says on its disk when it begins, and who ends it: LXC's stop, or an init that ends whatever is left. */
const NOTES = [
  `echo began >>${KEPT}`,
  `trap 'echo stopped >>${KEPT}; exit 0' PWR`,
  `trap 'echo killed >>${KEPT}; exit 0' TERM`,
  'while :; do /bin/busybox sleep 1000 & wait $!; done\n',
].join('\n');

function device(): string {
  const notes = {
    args: { PV_LXC_EXTRA_CONF: 'lxc.mount.entry = /volumes/notes/docker--kept mnt/kept none bind,create=dir 0 0' },
    init: NOTES,
  };
  return packed({ notes, other: {} }, {}, (state) => {
    const run = state['notes/run.json'];
    if (typeof run !== 'object' || run === null) throw new Error('the packed state has no run.json');
    state['notes/run.json'] = { ...run, storage: { 'docker--kept': { persistence: 'permanent' } } };
  });
}

for (const init of ['openrc', 'sysvinit'] as const)
  describe(`hw.inits, ${init} on ${targetName()}`, () => {
    let target: Target;
    before(async () => {
      target = await openTarget(device(), init);
      if (target.lacks(init) !== undefined) return;
      await target.powerOn();
    });
    after(() => target?.close());

    const pids = async () => (await settled(target)).map(({ name, pid }) => `${name} ${pid}`).sort();
    const notes = () => output(target, ['cat', `${target.rundir}/lxc/notes/volumes/docker--kept/${NOTE}`]);
    const service = (action: string) => output(target, ['rc-service', 'berth', action]);
    const assertAlive = async (rows: readonly string[]): Promise<void> => {
      for (const row of rows) await output(target, ['kill', '-0', row.split(' ')[1] ?? '']);
    };

    it('starts the tree at boot', async (test) => {
      if (!needs(test, target, init)) return;
      assert.equal((await pids()).length, 2);
      if (init === 'openrc') assert.match(await service('status'), /started/);
    });

    it('starts the supervisor again when it was killed, and every container keeps its process', async (test) => {
      if (!needs(test, target, init)) return;
      const before = await pids();
      await killSupervisor(target);
      assert.deepEqual(await pids(), before);
    });

    it('leaves the containers running when the service is stopped, and takes them over when it is started', async (test) => {
      if (!needs(test, target, 'openrc')) return;
      const [before, stopped] = [await pids(), await supervisorOf(target)];
      await service('stop');
      assert.notEqual((await target.run(['kill', '-0', stopped])).status, 0, 'the supervisor was left running');
      await assertAlive(before);
      await service('start');
      assert.deepEqual(await pids(), before);
      assert.equal(await notes(), 'began\n');
    });

    it('upgrades in place: the new build runs, and every container keeps its process', async (test) => {
      if (!needs(test, target, init)) return;
      if (!target.isEmulated) return test.skip(KEEPS_BERTH);
      const berth = (await output(target, ['which', 'berth'])).trim();
      const prefix = berth.replace(/\/bin\/berth$/, '');
      const current = () => output(target, ['readlink', `${prefix}/lib/berth/current`]);
      const [before, replaced, build] = [await pids(), await supervisorOf(target), await current()];
      const folder = anotherBuild();
      try {
        await target.copyTo(folder, '/tmp');
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
      const there = `/tmp/${basename(folder)}`;
      const installed = await output(target, [
        'env',
        `BERTH_DIST=${there}/dist`,
        `${there}/scripts/install`,
        '--prefix',
        prefix,
        '--init',
        init === 'openrc' ? 'openrc' : 'inittab',
      ]);
      assert.notEqual(await current(), build, installed);
      await until('another supervisor', async () => ((await supervisorOf(target)) === replaced ? undefined : true));
      assert.deepEqual(await pids(), before);
    });

    it('has the containers end, and leaves the storage unmounted, when the machine is powered off', async (test) => {
      if (!needs(test, target, init, 'cut')) return;
      await target.powerOff();
      await target.powerOn();
      await settled(target);
      // It begins a moment after Berth says so.
      const said = await until('the container began again', async () => {
        const all = await notes();
        return all.split('began').length > 2 ? all : undefined;
      });
      assert.equal(said, 'began\nstopped\nbegan\n', target.console().slice(-3_000));
      if (target.isEmulated) assert.equal(await output(target, ['cat', '/run/berth-vm/storage-left']), 'unmounted\n');
    });

    it('has the containers stopped when it is uninstalled, and starts none again', async (test) => {
      if (!needs(test, target, init)) return;
      if (!target.isEmulated) return test.skip(KEEPS_BERTH);
      const rows = await pids();
      const berth = (await output(target, ['which', 'berth'])).trim();
      await output(target, [berth.replace(/bin\/berth$/, 'lib/berth/uninstall')]);
      for (const row of rows)
        assert.notEqual(
          (await target.run(['kill', '-0', row.split(' ')[1] ?? ''])).status,
          0,
          `${row} was left running`,
        );
      // Brackets: the shell that asks has the pattern among its words.
      assert.notEqual((await target.run(['pgrep', '-f', 'berth[.]js run'])).status, 0, 'Berth was left running');
      assert.equal((await target.run(['ls', '/run/berth.pid', '/run/berth.going-down'])).stdout, '');
    });
  });

/** What the installer needs of this repository, and one file more in the build, which makes it another one. The caller removes it. */
function anotherBuild(): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-upgrade-'));
  for (const name of ['scripts', 'dist', 'README.md', 'CHANGELOG.md', 'package.json'])
    cpSync(join(ROOT, name), join(folder, name), { recursive: true, verbatimSymlinks: true });
  writeFileSync(join(folder, 'dist/another'), '');
  return folder;
}
