// What berth check and berth pack say of an init that cannot be run, before a device tries.
import assert from 'node:assert/strict';
import { chmodSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { berth, berthWith, createScratch, type Scratch } from './program.ts';

let scratch: Scratch;
before(() => {
  scratch = createScratch();
});
after(() => scratch.remove());

const warned = async (source: string): Promise<readonly string[]> => {
  const ran = await berth('check', source);
  assert.equal(ran.exitCode, 0, ran.stderr);
  return ran.stderr.split('\n').filter((line) => line !== '');
};
const ROOT = 'containers/one/rootfs';

describe('berth check of a container’s init', () => {
  it('warns where there is none, and packs it nevertheless', async () => {
    const source = scratch.write('none', { [`${ROOT}/etc/name`]: 'one\n' });
    const warning =
      /^warning: containers\/one\/rootfs: lxc\.init\.cmd \(lxc\.container\.conf:\d+\) runs \/init: no \/init; correct/;
    const [line = '', ...others] = await warned(source);
    assert.match(line, warning);
    assert.deepEqual(others, []);
    const ran = await berthWith(scratch.environment, 'pack', source, '-o', join(scratch.folder, 'none-out'));
    assert.equal(ran.exitCode, 0);
    assert.match(ran.stderr, warning);
  });

  it('warns of one that is not executable, or whose interpreter is missing', async () => {
    const source = scratch.write('wrong', { [`${ROOT}/init`]: '#!/bin/sh\n' });
    chmodSync(join(source, ROOT, 'init'), 0o644);
    assert.match((await warned(source)).join(), /: \/init is not executable \(mode 644\); /);
    chmodSync(join(source, ROOT, 'init'), 0o755);
    assert.match((await warned(source)).join(), /: \/init needs \/bin\/sh, and no \/bin\/sh, as there is no \/bin; /);
  });

  it('follows links as the container does, and takes what config/ lays over it', async () => {
    const source = scratch.write('linked', {
      [`${ROOT}/usr/bin/busybox`]: 'a program\n',
      [`${ROOT}/init`]: '#!/bin/sh\n',
    });
    for (const program of ['usr/bin/busybox', 'init']) chmodSync(join(source, ROOT, program), 0o755);
    symlinkSync('/usr/bin', join(source, ROOT, 'bin'));
    symlinkSync('busybox', join(source, ROOT, 'usr/bin/sh'));
    assert.deepEqual(await warned(source), []);
    const laid = scratch.write('laid', { [`${ROOT}/etc/name`]: 'one\n', 'containers/one/config/init': '#!/bin/sh\n' });
    assert.deepEqual(await warned(laid), []);
  });

  it('looks at what rootfs.list names', async () => {
    const listed = (name: string, list: string): string =>
      scratch.write(name, { 'containers/one/rootfs.list': list, 'containers/one/init': '#!/bin/sh\n' });
    const lists = [
      ['file /init init 0755', /^warning: containers\/one\/rootfs\.list: .*: \/init needs \/bin\/sh, and no \/bin\/sh/],
      ['file /init init', /: \/init is not executable \(mode 644\); /],
      ['link /init sbin/init', /: no \/init, as there is no \/sbin; /],
    ] as const;
    for (const [list, message] of lists) assert.match((await warned(listed(list, list))).join(), message);
    const sound = 'file /init init 0755\nfile /bin/busybox /proc/self/comm 0755\nlink /bin/sh busybox\n';
    assert.deepEqual(await warned(listed('sound', sound)), []);
  });

  it('says nothing of what only the device can tell, nor of a container that is only mounted', async () => {
    const cases = {
      mounted: { PV_STATUS_GOAL: 'MOUNTED' },
      rooted: {
        PV_LXC_EXTRA_CONF:
          'lxc.rootfs.path = overlayfs:/volumes/one/extra.squashfs:/volumes/one/root.squashfs:/volumes/one/lxc-overlay/upper',
      },
      placed: { PV_LXC_EXTRA_CONF: 'lxc.mount.entry = /opt opt none bind,create=dir 0 0\nlxc.init.cmd = /opt/init' },
    };
    for (const [name, args] of Object.entries(cases)) {
      const source = scratch.write(name, {
        [`${ROOT}/etc/name`]: 'one\n',
        'containers/one/volumes/extra/init': 'a program\n',
        'containers/one/args.json': args,
      });
      assert.deepEqual(
        (await warned(source)).filter((line) => line.includes('init')),
        [],
        name,
      );
    }
  });
});
