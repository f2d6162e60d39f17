// Containers that mount something over the files that are followed: what may never answer is not asked, what the host knows is followed.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { openRig, type Rig, RUNDIR } from './rig.ts';
import { allOf, end, makeScripted, runToTheEnd } from './scripted.ts';

reexecInNamespaces(import.meta.filename);

let rig: Rig;
before(async () => {
  rig = await openRig();
  await rig.spawn();
});
after(async () => {
  await rig.close();
});

const following = (container: string, paths: readonly string[], volumes: Parameters<typeof allOf>[1] = []) => ({
  ...allOf(container, volumes),
  logFiles: paths.map((path) => ({ path })),
});

const rawLog = (container: string, file: number): string => {
  try {
    return readFileSync(join(RUNDIR, 'lxc', container, `logs/file-${file}.log`), 'utf8');
  } catch {
    return '';
  }
};

const arrived = (container: string, file: number, text: string): Promise<true> =>
  eventually(`${text} of ${container}`, PATIENCE_MS, () => rawLog(container, file).includes(text) || undefined);

describe('lxc.foreignMounts', () => {
  it('does not ask a FUSE that answers nobody, and follows what is beside it', async () => {
    const warning = 'silent: /var/log/messages is not followed: fuse is mounted on /var/log, and that is neither';
    const warnings = (): number => rig.output().split(warning).length - 1;
    const script = [
      'busybox mknod /dev/fuse c 10 229',
      'mkdir -p /var/log',
      'exec 3<>/dev/fuse',
      'busybox mount -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 x /var/log',
      'echo beside >/var/other',
    ];
    makeScripted('silent', script.join('\n'), []);
    await runToTheEnd(rig, 'silent', following('silent', ['/var/log/messages', '/var/other']));
    await arrived('silent', 1, 'beside\n');
    await eventually('a warning', PATIENCE_MS, () => warnings() === 1 || undefined);
    await rig.kill();
    await rig.spawn();
    await eventually('a warning of the next service', PATIENCE_MS, () => warnings() === 2 || undefined);
    const { containers } = rig.value(await rig.lxc.listContainers({}));
    assert.deepEqual(
      containers.map(({ container, running }) => [container, running !== undefined]),
      [['silent', true]],
    );
    await end(rig, 'silent');
    assert.equal(warnings(), 2);
  });

  it('does not go by the type alone: what an overlay of the container’s lies on may be anything', async () => {
    const script = [
      'mkdir -p /lower /over',
      'echo below >/lower/app.log',
      'busybox mount -t tmpfs none /run',
      'mkdir -p /run/upper /run/work',
      'busybox mount -t overlay -o lowerdir=/lower,upperdir=/run/upper,workdir=/run/work none /over',
    ];
    makeScripted('layers', script.join('\n'), []);
    await runToTheEnd(rig, 'layers', following('layers', ['/over/app.log', '/lower/app.log']));
    await arrived('layers', 1, 'below\n');
    await eventually('a warning', PATIENCE_MS, () =>
      rig.output().includes('layers: /over/app.log is not followed: overlay is mounted on /over, and that is neither'),
    );
    await end(rig, 'layers');
    assert.equal(rawLog('layers', 0), '');
  });

  it('follows through links into a tmpfs of the container, and into a volume', async () => {
    const script = [
      'mkdir -p /var /run/log /ram',
      'busybox ln -s ../run/log /var/log',
      'busybox ln -s /run /var/run',
      'busybox mount -t tmpfs none /ram',
      'echo in tmpfs >/var/log/messages',
      'echo by a link >/var/run/app.log',
      'echo in ram >/ram/app.log',
      'echo in a volume >/srv/app.log',
    ];
    makeScripted('linked', script.join('\n'), ['/volumes/linked/data srv none bind,create=dir 0 0']);
    const files = ['/var/log/messages', '/var/run/app.log', '/ram/app.log', '/srv/app.log', '/none/there'];
    await runToTheEnd(rig, 'linked', following('linked', files, [{ name: 'data', persistence: 'permanent' }]));
    for (const [file, text] of ['in tmpfs', 'by a link', 'in ram', 'in a volume'].entries())
      await arrived('linked', file, `${text}\n`);
    await end(rig, 'linked');
    assert.doesNotMatch(rig.output(), /linked: .* is not followed/);
  });

  it('follows what the container mounts and unmounts over it', async () => {
    const script = [
      'mkdir -p /var/log /proc',
      'echo below >/var/log/messages',
      'while [ ! -e /run/on ]; do sleep 0.1; done',
      'busybox mount -t tmpfs none /var/log',
      'echo above >/var/log/messages',
    ];
    makeScripted('covers', `(${script.join('\n')}) &`, []);
    await runToTheEnd(rig, 'covers', following('covers', ['/var/log/messages']));
    await arrived('covers', 0, 'below\n');
    const run = readFileSync(join(RUNDIR, 'lxc/covers/run.json'), 'utf8');
    const { pid } = JSON.parse(run);
    writeFileSync(`/proc/${pid}/root/run/on`, '');
    await arrived('covers', 0, 'below\nabove\n');
    await end(rig, 'covers');
  });
});
