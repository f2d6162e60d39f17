// The virtual device: qemu without KVM, a storage disk of its own for each test, and no way out to any network.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../test/kit/eventually.ts';
import { bootId, type Feature, type Target } from '../target.ts';
import { type VmImage, vmImage } from '../vm/image.ts';
import { LAYER_BYTES, type Machine, STORAGE_BYTES, startMachine } from '../vm/machine.ts';
import { ACCOUNTS } from '../vm/root.ts';
import { secureShell } from './secure-shell.ts';

const ROOT = join(import.meta.dirname, '../..');
const GUEST = join(import.meta.dirname, '../vm/guest');
/** An emulated machine on a busy one. */
const BOOT_MS = 240_000;
const OFF_MS = 400_000;

/** What is its first process, and starts Berth: busybox's init, Debian's sysvinit with OpenRC, or that sysvinit alone. */
export type GuestInit = 'busybox' | 'openrc' | 'sysvinit';

/** `revision`: a storage folder that `berth pack` wrote. */
export async function openVm(revision: string, say: (line: string) => void, init: GuestInit): Promise<Target> {
  const image = await vmImage(say);
  const folder = mkdtempSync(join(tmpdir(), 'berth-vm-'));
  const disks = { root: image.root, layer: join(folder, 'berth.squashfs'), storage: join(folder, 'storage.img') };
  const port = await freePort();
  const shell = secureShell(
    'root@127.0.0.1',
    [
      '-F',
      'none',
      '-p',
      String(port),
      '-i',
      image.clientKey,
      '-o',
      'IdentitiesOnly=yes',
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      'KexAlgorithms=curve25519-sha256',
    ],
    '/run/pantavisor/pv/pv-ctrl',
  );
  writeLayer(disks.layer, image, init);
  writeStorage(disks.storage, revision);

  let machine: Machine | undefined;
  let earlier = '';
  const said = (): string => earlier + (machine?.console() ?? '');
  const running = (): Machine => {
    if (machine === undefined) throw new Error('the virtual device was not powered on');
    return machine;
  };
  const boot = (): Machine => {
    earlier = said();
    const { kernel, initrd, state } = image;
    const started = startMachine({ kernel, initrd, state, disks, sshPort: port, folder }, true);
    machine = started;
    // qemu ends with a reset of the machine: what comes after it is begun here, from the state that the kernel had once it had booted.
    void started.ended().then(() => {
      if (machine === started && started.console().includes(LISTENS) && !started.isPoweredDown()) boot();
    });
    return started;
  };
  const cut = async (): Promise<void> => {
    const last = machine;
    earlier = said();
    machine = undefined;
    await last?.cut();
    await shell.disconnect();
  };
  const target: Target = {
    name: 'vm',
    isEmulated: true,
    isNew: true,
    revision: '0',
    lacks: (feature) =>
      feature === 'openrc' || feature === 'sysvinit' ? lacksInit(feature, init) : lacksGroups(feature, init),
    socket: shell.socket,
    storage: '/storage',
    rundir: '/run/pantavisor/pv',
    run: shell.run,
    start: shell.start,
    copyTo: shell.copyTo,
    copyFrom: shell.copyFrom,
    async powerOn() {
      const started = boot();
      await eventually(
        'sshd of the virtual device',
        BOOT_MS,
        () => started.isOff() || started.console().includes(LISTENS),
      );
      if (started.isOff()) throw new Error(`qemu ended: ${started.console().slice(-2000)}`);
      await shell.connect(BOOT_MS);
    },
    async powerOff() {
      await shell.run(['poweroff']).catch(() => undefined);
      const last = running();
      await eventually('the virtual device is off', OFF_MS, () => last.isOff() && last.isPoweredDown()).catch(
        (error: unknown) => {
          throw new Error(`${String(error)}; its console: ${said().slice(-2_000)}`);
        },
      );
      await shell.disconnect();
    },
    cut,
    async rebooted(before) {
      await eventually('another boot', BOOT_MS, async () => {
        const now = await bootId(target).catch(async () => {
          await shell.disconnect();
          await shell.connect(BOOT_MS);
          return before;
        });
        return now !== before;
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}; its console: ${said().slice(-2_000)}`);
      });
    },
    async damage() {
      const { stdout } = await shell.run(['cat', '/run/berth-vm/fsck.status', '/run/berth-vm/fsck']);
      return stdout.startsWith('0\n') ? undefined : stdout;
    },
    worked: (ms) => running().worked(ms),
    console: said,
    async close() {
      await cut();
      await shell.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return target;
}

/** What the guest's boot script says. */
const LISTENS = 'berth-vm: sshd listens';

/** Berth as its installer puts it, the guest's init and its keys, laid over the root file system. */
function writeLayer(path: string, image: VmImage, init: GuestInit): void {
  const folder = mkdtempSync(join(tmpdir(), 'berth-layer-'));
  try {
    if (init !== 'busybox') cpSync(image.sysvinit(), folder, { recursive: true, verbatimSymlinks: true });
    const etc = join(folder, 'etc/berth-vm');
    mkdirSync(etc, { recursive: true });
    chmodSync(folder, 0o755);
    for (const name of ['boot', 'machine', 'sshd_config']) cpSync(join(GUEST, name), join(etc, name));
    if (init === 'busybox') cpSync(join(GUEST, 'inittab'), join(folder, 'etc/inittab'));
    for (const [name, text] of Object.entries(ACCOUNTS)) writeFileSync(join(folder, 'etc', name), text);
    cpSync(image.hostKey, join(etc, 'host_key'));
    chmodSync(join(etc, 'host_key'), 0o600);
    writeFileSync(join(etc, 'authorized_keys'), readFileSync(`${image.clientKey}.pub`));
    const options = [
      '--destdir',
      folder,
      '--prefix',
      '/usr',
      '--init',
      init === 'openrc' ? 'openrc' : 'inittab',
      '--mode',
      'embedded',
      '--storage',
      '/storage',
    ];
    execFileSync(join(ROOT, 'scripts/install'), options, { stdio: ['ignore', 'ignore', 'pipe'] });
    const plain = ['-noappend', '-noI', '-noD', '-noF', '-all-root', '-quiet', '-no-progress'];
    execFileSync('mksquashfs', [folder, path, ...plain], { stdio: ['ignore', 'ignore', 'inherit'] });
    truncateSync(path, LAYER_BYTES);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function lacksInit(feature: Feature, init: GuestInit): string | undefined {
  return feature === init ? undefined : `this machine was given ${init} for an init`;
}

/** OpenRC mounts hierarchies of both versions. */
function lacksGroups(feature: Feature, init: GuestInit): string | undefined {
  return feature === 'pure-cgroup2' && init !== 'busybox' ? 'OpenRC mounts control groups of both versions' : undefined;
}

function writeStorage(disk: string, revision: string): void {
  writeFileSync(disk, '');
  truncateSync(disk, STORAGE_BYTES);
  execFileSync('mkfs.ext4', ['-q', '-F', '-E', 'root_owner=0:0', '-d', revision, disk], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** The next connection on it could be somebody else's; then qemu says so and ends. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
