// Firmware and modules of the host's kernel in containers: which lines there are, and what containers find.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { withKernelFolders } from '../../services/lxc-svc/kernel-folders.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, startOf } from './rig.ts';
import { consoleOf } from './runs.ts';

reexecInNamespaces(import.meta.filename);

const MODULES = `lib/modules/${release()}`;

describe('lxc-svc.withKernelFolders', () => {
  let folder: string;
  const host = () => join(folder, 'lib');
  before(() => {
    folder = mkdtempSync('/run/berth-kernel-');
    for (const path of ['lib/firmware', MODULES, 'plain', 'merged/usr/lib', 'away']) {
      mkdirSync(join(folder, path), { recursive: true });
    }
    symlinkSync('usr/lib', join(folder, 'merged/lib'));
    for (const [name, target] of [
      ['round', 'lib'],
      ['away', '../../etc'],
    ] as const) {
      mkdirSync(join(folder, name), { recursive: true });
      symlinkSync(target, join(folder, name, 'lib'));
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  const targets = (own: readonly string[], root = 'plain', lib = host()): readonly string[] => {
    const entries = own.map((value) => ({ key: 'lxc.mount.entry', value }));
    const added = withKernelFolders(entries, join(folder, root), lib).slice(entries.length);
    return added.map(({ value }) => value.split(' ')[1] ?? '');
  };

  it('are read-only, and mounted after the container’s own', () => {
    const own = { key: 'lxc.mount.entry', value: 'tmpfs run tmpfs rw 0 0' };
    const options = 'none bind,ro,create=dir,optional 0 0';
    assert.deepEqual(
      withKernelFolders([own], join(folder, 'plain'), host()),
      [own.value, `${host()}/firmware lib/firmware ${options}`, `${join(folder, MODULES)} ${MODULES} ${options}`].map(
        (value) => ({ key: 'lxc.mount.entry', value }),
      ),
    );
  });

  it('are those alone that the host has', () => {
    assert.deepEqual(targets([], 'plain', join(folder, 'none')), []);
    mkdirSync(join(folder, 'other/firmware'), { recursive: true });
    assert.deepEqual(targets([], 'plain', join(folder, 'other')), ['lib/firmware']);
  });

  it('are where links of the image lead, within it', () => {
    assert.deepEqual(targets([], 'merged'), ['usr/lib/firmware', `usr/${MODULES}`]);
    assert.deepEqual(targets([], 'away'), ['etc/firmware', `etc/modules/${release()}`]);
    assert.deepEqual(targets([], 'round'), []);
  });

  it('are not where the container itself mounts something, above it, or below', () => {
    const line = (target: string) => `/srv/x ${target} none bind 0 0`;
    for (const target of ['lib/firmware', 'lib/firmware/', 'lib/./firmware', 'lib/firmware/brcm', 'x/../lib/firmware'])
      assert.deepEqual(targets([line(target)]), [MODULES], target);
    for (const target of ['lib/modules', MODULES, `${MODULES}/extra`])
      assert.deepEqual(targets([line(target)]), ['lib/firmware'], target);
    for (const target of ['lib', '.', 'usr', 'usr/lib'])
      assert.deepEqual(targets([line(target)], 'merged'), [], target);
    // LXC passes over the first; the second is taken back.
    for (const own of [[line('/lib/firmware')], [line('lib/firmware'), ''], [line('lib/firmwares')]])
      assert.deepEqual(targets(own), ['lib/firmware', MODULES]);
  });
});

describe('lxc.start', () => {
  let rig: Rig;
  before(async () => {
    rig = await openRig();
    await rig.spawn();
    const lib = realpathSync('/lib');
    // The machine's own stays as it is below.
    execFileSync('mount', ['-t', 'tmpfs', 'over', '/mnt']);
    for (const name of ['upper', 'work']) mkdirSync(join('/mnt', name));
    const options = `lowerdir=${lib},upperdir=/mnt/upper,workdir=/mnt/work`;
    execFileSync('mount', ['-t', 'overlay', 'over', lib, '-o', options]);
    for (const path of ['/lib/firmware', `/${MODULES}`]) mkdirSync(path, { recursive: true });
    writeFileSync('/lib/firmware/of-host.bin', 'firmware\n');
    writeFileSync(`/${MODULES}/modules.dep`, 'modules\n');
  });
  after(async () => {
    await rig.close();
  });

  const said = async (container: string, more: { automodfw?: boolean } = {}): Promise<string> => {
    const [firmware, modules] = ['/lib/firmware/of-host.bin', `/${MODULES}/modules.dep`];
    const script = `cat ${firmware} ${modules}; touch ${firmware} && echo wrote; echo done; sleep 60`;
    makeContainer(container, 'obedient', `lxc.init.cmd = /bin/sh -c "export PATH=/bin; ${script}"`);
    rig.value(await rig.lxc.mount(mountOf(container)));
    rig.value(await rig.lxc.start({ ...startOf(container), ...more }));
    const text = await eventually(`${container} is done`, PATIENCE_MS, () => {
      const found = consoleOf(container).replaceAll('\r', '');
      return found.includes('done\n') ? found : undefined;
    });
    rig.value(await rig.lxc.stop({ container, graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container }));
    return text;
  };

  it('shows a container firmware and modules of the host’s kernel, read-only', async () => {
    const text = await said('shown');
    assert.match(text, /^firmware\nmodules\n/);
    assert.match(text, /Read-only file system\ndone\n$/);
  });

  it('shows none to one that says no', async () => {
    assert.match(
      await said('unshown', { automodfw: false }),
      /of-host\.bin': No such file[\s\S]*modules\.dep': No such file/,
    );
  });
});
