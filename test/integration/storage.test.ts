// A revision with everything that a container can keep, mount and share, through the whole tree; and one whose disk the machine cannot open.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ask, containerRows, get, healthAnswer } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { changeState, objectAt, textAt } from '../kit/packed-state.ts';
import { attached, openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const CYCLES = 3;

function addObject(storage: string, content: Buffer | string): string {
  const digest = createHash('sha256').update(content).digest('hex');
  writeFileSync(join(storage, 'objects', digest), content);
  return digest;
}

function squashfsOf(files: Readonly<Record<string, string>>): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'berth-squash-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'root', path)), { recursive: true });
    writeFileSync(join(folder, 'root', path), text);
  }
  const file = join(folder, 'x.squashfs');
  spawnSync('mksquashfs', [join(folder, 'root'), file, '-quiet', '-no-progress', '-all-root']);
  const content = readFileSync(file);
  rmSync(folder, { recursive: true });
  return content;
}

const DISKS = [
  { name: 'data', type: 'volume-disk', path: '/storage/data', default: 'yes' },
  {
    name: 'image',
    type: 'volume-disk',
    provision: 'file',
    provision_options: 'size=2M',
    path: '/storage/images/x.img',
  },
];
const STORAGE_KEYS = {
  'lxc-overlay': { persistence: 'boot' },
  'docker--good': { persistence: 'permanent' },
  'docker--rev': { persistence: 'revision', disk: 'image' },
  'docker--boot': { persistence: 'boot' },
};

function addEverything(storage: string): void {
  changeState(storage, (state) => {
    objectAt(state, 'device.json').disks = DISKS;
    const config = readFileSync(join(storage, 'objects', textAt(state, 'net-server/lxc.container.conf')), 'utf8');
    const entries = [
      ...Object.keys(STORAGE_KEYS)
        .slice(1)
        .map((name) => `/volumes/net-server/${name} mnt/${name} none bind,create=dir 0 0`),
      '/volumes/net-server/extra.squashfs mnt/extra none bind,ro,create=dir 0 0',
    ];
    const lines = entries.map((entry) => `lxc.mount.entry = ${entry}\n`).join('');
    state['net-server/lxc.container.conf'] = addObject(storage, `${config}\n${lines}`);
    state['net-server/extra.squashfs'] = addObject(storage, squashfsOf({ 'deep/file': 'from the volume\n' }));
    Object.assign(objectAt(state, 'net-server/run.json'), {
      volumes: ['extra.squashfs'],
      storage: STORAGE_KEYS,
      exports: ['mnt/docker--good', 'etc'],
    });
    state['_config/net-server/etc/from-state'] = addObject(storage, 'from the state\n');
    state['_config/net-server/etc/inline.json'] = { inline: true };
  });
}

/** What Pantavisor has left of `docker--good`, as a program of the container's that is not root wrote it. */
function keepUnderPantavisor(storage: string): void {
  const kept = join(storage, 'data/perm/net-server/docker--good');
  mkdirSync(kept, { recursive: true });
  writeFileSync(join(kept, 'before'), 'kept under Pantavisor\n', { mode: 0o600 });
  for (const path of [kept, join(kept, 'before')]) chownSync(path, 1000, 1000);
  chmodSync(kept, 0o700);
}

describe('integration.storage', () => {
  let tree: Tree;
  let atFirst: readonly string[];
  before(async () => {
    const storage = packExample('01-basic');
    addEverything(storage);
    keepUnderPantavisor(storage);
    tree = await openTree(storage);
    tree.start();
    await tree.up();
    atFirst = counts();
  });
  after(() => tree.close());

  const inside = (command: string): string => {
    const shell = ['/bin/busybox', 'sh', '-c', command];
    const { status, stdout, stderr } = tree.inside(attached(tree, 'net-server', shell));
    assert.equal(status, 0, `${command}: ${stderr}`);
    return stdout;
  };
  const counts = () =>
    ['ip -o link | wc -l', `ls ${tree.rundir}/netns | wc -l`, 'wc -l < /proc/self/mounts', `ls ${tree.rundir}/disks`]
      .map((command) => tree.inside(['sh', '-c', command]).stdout.trim())
      .concat(String(tree.loopDevices().length));
  /** Not at once: a start or stop may have a step left when its status is told. */
  const asAtFirst = () =>
    eventually('counts as at first', PATIENCE_MS, () => (`${counts()}` === `${atFirst}` ? true : undefined));
  const act = async (action: 'stop' | 'start', status: string) => {
    assert.equal((await ask(tree.socket, 'PUT', '/containers/net-server', { action })).status, 200);
    await eventually(`net-server ${status}`, PATIENCE_MS, async () => {
      const rows = await get(tree.socket, '/containers', containerRows);
      return rows.find(({ name }) => name === 'net-server')?.status === status;
    });
  };

  it('shows the container its volumes and the state’s files, and the host its exports', () => {
    assert.equal(inside('cat /mnt/extra/deep/file /etc/from-state'), 'from the volume\nfrom the state\n');
    assert.deepEqual(JSON.parse(inside('cat /etc/inline.json')), { inline: true });
    inside('for v in good rev boot; do echo $v >/mnt/docker--$v/note; done');
    assert.equal(readFileSync(join(tree.storage, 'data/permanent/net-server/docker--good/note'), 'utf8'), 'good\n');
    const exported = join(tree.rundir, 'exports/net-server');
    const seen = tree.inside(['cat', join(exported, 'mnt/docker--good/note'), join(exported, 'etc/from-state')]);
    assert.equal(seen.stdout, 'good\nfrom the state\n');
  });

  it('gives it the volume that Pantavisor kept for it', () => {
    assert.equal(inside('cat /mnt/docker--good/before'), 'kept under Pantavisor\n');
    assert.match(inside('ls -lnd /mnt/docker--good'), /^drwx------ .* 1000 +1000 /);
    const place = join(tree.storage, 'data/perm/net-server/docker--good/before');
    assert.equal(readFileSync(place, 'utf8'), 'kept under Pantavisor\n');
  });

  it('keeps what is to be kept over stops, and counts constant', async () => {
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      await act('stop', 'STOPPED');
      const left = () => tree.inside(['sh', '-c', `ls ${tree.rundir}/disks ${tree.rundir}/exports`]).stdout;
      await eventually('nothing of it is left', PATIENCE_MS, () => !left().includes('net-server'));
      await act('start', 'STARTED');
    }
    await asAtFirst();
    assert.equal(inside('cd /mnt; cat docker--*/note'), 'good\nrev\n');
  });

  it('takes it over when the supervisor was killed, and leaves nothing at the end', async () => {
    await tree.killSupervisor();
    tree.start();
    await tree.up();
    await asAtFirst();
    assert.equal(inside('cat /mnt/docker--good/note'), 'good\n');
    assert.equal(await tree.endSupervisor('SIGINT'), 0);
    const mounts = tree.inside(['sh', '-c', `grep -c " ${tree.rundir}/" /proc/self/mounts`]).stdout.trim();
    assert.equal(mounts, '0');
    await eventually('no loop device is left', PATIENCE_MS, () => tree.loopDevices().length === 0);
  });
});

describe('integration.storage without what a disk needs', () => {
  it('refuses the revision, with the place and the way out', async () => {
    const storage = packExample('01-basic');
    changeState(storage, (state) => {
      objectAt(state, 'device.json').disks = [
        { name: 'secret', type: 'dm-crypt-versatile', path: '/storage/crypt/x.img,8,key' },
      ];
      const storage = { secrets: { persistence: 'permanent', disk: 'secret' } };
      Object.assign(objectAt(state, 'net-client/run.json'), { storage });
    });
    const tree = await openTree(storage);
    try {
      tree.start(['--set', 'BERTH_CRYPTSETUP=/no/such/cryptsetup']);
      const reason = await eventually('the refusal', PATIENCE_MS, async () => {
        const answer = await ask(tree.socket, 'GET', '/health').catch(() => undefined);
        if (answer?.status !== 503) return undefined;
        const { reasons } = healthAnswer.parse(JSON.parse(answer.body));
        return reasons.find(({ code, message }) => code === 'REVISION_REFUSED' && message.includes('DISK_UNAVAILABLE'));
      });
      assert.equal(reason.subject, 'device.json.disks.0');
      assert.match(reason.message, /disk 'secret' is not available on this device: .*(device-mapper|not installed)/);
    } finally {
      await tree.close();
    }
  });
});
