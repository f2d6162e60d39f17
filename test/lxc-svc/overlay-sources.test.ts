// Overlays of volumes: `--volume ovl:<path>` of the stock packager.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { NamedVolume } from '../../shared/schema/storage.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { HOST, useHostFolder } from './host-folder.ts';
import { STORAGE, startOf, traces } from './rig.ts';
import { allOf, makeScripted, writeFiles } from './scripted.ts';

reexecInNamespaces(import.meta.filename);

const { rig, value, runToTheEnd, end, hosts } = useHostFolder();

const OVL: readonly NamedVolume[] = ['dockerovl--srv', 'site'].map((name) => ({ name, persistence: 'permanent' }));
const kept = (container: string) => join(STORAGE, 'disks/permanent', container);

/** As the stock packager writes it for /srv, over a folder of another volume. */
function overlay(container: string, more = '', lower = `/volumes/${container}/site/srv`): string {
  const volume = `/volumes/${container}/dockerovl--srv`;
  const layers = `lowerdir=${lower},upperdir=${volume}/upper,workdir=${volume}/work`;
  return `${volume} srv overlay rw,${layers},create=dir${more} 0 0`;
}

/** What the image brings, of an owner and with a mode of its own. */
function makeSite(container: string): void {
  const folder = join(kept(container), 'site/srv');
  writeFiles(folder, { page: 'of the image\n', old: '' });
  chownSync(folder, 33, 33);
  chmodSync(folder, 0o2750);
}

describe('an overlay of volumes', () => {
  it('shows what the image has and keeps what is written, with the owner and mode of the image’s folder', async () => {
    const look =
      'cat /srv/page /srv/note; ls -1 /srv; busybox stat -c "%u:%g %a" /srv; busybox grep " /srv " /proc/mounts';
    makeScripted('lays', `${look}; echo kept >/srv/note; busybox rm -f /srv/old`, [overlay('lays')]);
    makeSite('lays');
    const clean = traces();
    const first = await runToTheEnd('lays', allOf('lays', OVL));
    assert.match(
      first,
      /^of the image\n.*No such file or directory\nold\npage\n33:33 2750\n\/volumes\/lays\/dockerovl--srv \/srv overlay rw,/m,
    );
    await end('lays');
    assert.match(await runToTheEnd('lays', allOf('lays', OVL)), /^of the image\nkept\nnote\npage\n33:33 2750$/m);
    await end('lays');
    assert.equal(readFileSync(join(kept('lays'), 'dockerovl--srv/upper/note'), 'utf8'), 'kept\n');
    assert.deepEqual(readdirSync(join(kept('lays'), 'site/srv')).sort(), ['old', 'page']);
    assert.deepEqual(traces(), clean);
  });

  it('leaves the owner and mode of an upper layer that is there, and forbids what its line forbids', async () => {
    const look = 'busybox stat -c "%u:%g %a" /srv; busybox grep " /srv " /proc/mounts';
    makeScripted('stays', look, [overlay('stays', ',nodev')]);
    makeSite('stays');
    const upper = join(kept('stays'), 'dockerovl--srv/upper');
    mkdirSync(upper, { recursive: true, mode: 0o711 });
    assert.match(await runToTheEnd('stays', allOf('stays', OVL)), /^0:0 711\n\S+ \/srv overlay rw,nodev,/m);
    await end('stays');
  });

  it('has no layer in a folder of the host where the container has left links', async () => {
    makeScripted('links', 'true', [overlay('links')]);
    makeSite('links');
    const volume = join(kept('links'), 'dockerovl--srv');
    mkdirSync(volume);
    for (const name of ['upper', 'work']) {
      mkdirSync(join(HOST, name));
      symlinkSync(join(HOST, name), join(volume, name));
      value(await rig().lxc.mount(allOf('links', OVL)));
      const mounted = traces();
      const answer = await rig().lxc.start(startOf('links'));
      assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
      assert.equal(answer.error.step, 'volumes');
      assert.match(answer.error.reason, new RegExp(`dockerovl--srv/${name} is a symbolic link`));
      assert.deepEqual(traces(), mounted);
      value(await rig().lxc.unmount({ container: 'links' }));
      rmSync(join(volume, name));
      assert.deepEqual(readdirSync(join(HOST, name)), []);
    }
    // As if the volume was the root, as for all sources in volumes.
    rmSync(join(kept('links'), 'site/srv'), { recursive: true });
    symlinkSync(HOST, join(kept('links'), 'site/srv'));
    value(await rig().lxc.mount(allOf('links', OVL)));
    const answer = await rig().lxc.start(startOf('links'));
    assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
    assert.equal(answer.error.reason, '/volumes/links/site/srv is not there');
    value(await rig().lxc.unmount({ container: 'links' }));
    symlinkSync(HOST, '/mnt/linked');
    makeScripted('follows', 'true', [overlay('follows', '', '/mnt/linked')]);
    value(await rig().lxc.mount(allOf('follows', OVL)));
    const other = await rig().lxc.start(startOf('follows'));
    assert.ok(!other.ok && other.error.code === 'START_FAILED');
    assert.match(other.error.reason, /\/mnt\/linked is a symbolic link/);
    value(await rig().lxc.unmount({ container: 'follows' }));
    assert.equal(hosts(), 'the host’s\n');
  });

  it('is over what its root has, where its line names the place where LXC mounts that, and over a folder of the host', async () => {
    writeFiles('/mnt/brings', { page: 'of the host\n' });
    for (const [container, lower, seen] of [
      ['of-root', '/usr/lib/lxc/rootfs/bin', /^busybox$/m],
      ['of-host', '/mnt/brings', /^page$/m],
    ] as const) {
      makeScripted(container, 'ls -1 /srv; echo kept >/srv/note', [overlay(container, '', lower)]);
      assert.match(await runToTheEnd(container, allOf(container, OVL)), seen);
      await end(container);
      assert.deepEqual(readdirSync(join(kept(container), 'dockerovl--srv/upper')), ['note']);
    }
  });

  it('is left out where it is optional and what it is over is not there', async () => {
    makeScripted('lacks', 'cat /srv/page || echo none', [overlay('lacks', ',optional')]);
    assert.match(await runToTheEnd('lacks', allOf('lacks', OVL)), /^none$/m);
    await end('lacks');
  });

  it('is not there yet when exports are bound, which is told', async () => {
    makeScripted('exports', 'true', [overlay('exports')]);
    makeSite('exports');
    value(await rig().lxc.mount(allOf('exports', OVL, ['srv/page'])));
    await eventually('it is told', PATIENCE_MS, () =>
      /exports: \/srv\/page is not exported: an overlay is mounted on \/srv when it starts/.test(rig().output()),
    );
    value(await rig().lxc.unmount({ container: 'exports' }));
  });
});
