// A board over ssh, played by a sandbox: a program in ssh's place runs commands here, and links the control socket where it would be forwarded.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { keepsItsWord, POOL, prepare, revision } from '../../hw-tests/cut-load.ts';
import { packed, settled } from '../../hw-tests/device.ts';
import { bootId } from '../../hw-tests/target.ts';
import { openBoard } from '../../hw-tests/targets/board.ts';
import { fetchBusybox } from '../../hw-tests/targets/board-busybox.ts';
import { secureShell } from '../../hw-tests/targets/secure-shell.ts';
import { get, healthAnswer } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { progressReaches, putBytes } from '../kit/step.ts';
import { openTree, PATIENCE_MS, type Tree } from '../kit/tree.ts';
import { ended, start } from './hw.ts';

/**
 * A connection ends with the boot that it was made in, which the file `boot` beside the program names, and takes what it forwards along; a
 * command without one goes by the proxy, as ssh's does. `enter`: by what a command is run. `socket`: what is forwarded, whatever was asked for.
 */
const sshBy = (enter: string, socket = `\${2#*:}`): string => `#!/bin/sh
main=no
now=\${0%/*}/boot
while [ "$1" != -- ]; do
  case $1 in
  -M) main=yes ;;
  -S) control=$2 && shift ;;
  -L) link=\${2%%:*} && ln -sf "${socket}" "$link" && shift ;;
  -o) case $2 in ProxyCommand=*) proxy=\${2#*=} ;; esac && shift ;;
  esac
  shift
done
[ "$2" != nobody@nowhere ] || { echo 'ssh: connect to host nowhere: No route to host' >&2 && exit 255; }
shift 2
if [ "$main" = yes ]; then
  boot=$(cat "$now")
  : >"$control"
  while [ "$(cat "$now")" = "$boot" ]; do sleep 0.1; done
  rm -f "$control" "$link"
  exit 255
fi
[ -z "$proxy" ] || [ -e "$control" ] || exec sh -c "$proxy; exit 255"
case $1 in *boot_id*) exec cat "$now" ;; esac
exec ${enter} sh -c "$*"
`;
const SSH = sshBy('');
/** What systemd does for `Restart=on-failure`: what ends in order stays ended. */
const ON_FAILURE = ['sh', '-c', 'until "$@"; do sleep 1; done', 'init'];
/** What a board ran before the tests: it holds an address for a day. */
const OWNED = { owned: { args: { PV_NETWORK_POOL: 'internal' } } };
const userMeta = z.record(z.string(), z.string());

const isRefused = (error: unknown): boolean => /the connection ended/.test(String(error));
const healthyTree = ({ socket }: Tree) =>
  eventually('health', PATIENCE_MS, async () => {
    const health = await get(socket, '/health', healthAnswer).catch(() => undefined);
    return health?.status === 'ok';
  });

describe('a board over ssh', () => {
  let folder: string;
  let ssh: string;
  const boots = (id: string): void => writeFileSync(join(folder, 'boot'), id);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-board-'));
    ssh = join(folder, 'ssh');
    writeFileSync(ssh, SSH);
    chmodSync(ssh, 0o755);
    boots('first');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('hands every word of a command on as it is, and its exit code back', async () => {
    const shell = secureShell('root@board', [], '/nowhere', ssh);
    try {
      await shell.connect(0);
      const words = ["it's", '$HOME', 'two words', '*', '', '"'];
      const { status, stdout } = await shell.run(['printf', '<%s>', ...words]);
      assert.equal(stdout, words.map((word) => `<${word}>`).join(''));
      assert.equal(status, 0);
      assert.equal((await shell.run(['sh', '-c', 'exit 3'])).status, 3);
    } finally {
      await shell.close();
    }
  });

  it('runs nothing past its connection, which a reboot of the board ends', async () => {
    const shell = secureShell('root@board', [], '/nowhere', ssh);
    try {
      await shell.connect(0);
      assert.equal((await shell.run(['true'])).status, 0);
      boots('second');
      await eventually('the connection ended', PATIENCE_MS, () => shell.run(['true']).then(() => false, isRefused));
      await shell.connect(0);
      assert.equal((await shell.run(['true'])).status, 0);
    } finally {
      await shell.close();
    }
  });

  it('copies folders there and back, and says which it could not', async () => {
    const shell = secureShell('root@board', [], '/nowhere', ssh);
    try {
      await shell.connect(0);
      mkdirSync(join(folder, 'here/it'), { recursive: true });
      writeFileSync(join(folder, 'here/it/file'), 'text');
      mkdirSync(join(folder, 'back'));
      await shell.copyTo(join(folder, 'here/it'), join(folder, 'there'));
      await shell.copyFrom(join(folder, 'there/it'), join(folder, 'back'));
      assert.equal(readFileSync(join(folder, 'back/it/file'), 'utf8'), 'text');
      await assert.rejects(shell.copyFrom('/no/such/file', folder), /no\/such\/file/);
    } finally {
      await shell.close();
    }
  });

  it('says what ssh said when there is no way in', async () => {
    const shell = secureShell('nobody@nowhere', [], '/nowhere', ssh);
    try {
      await assert.rejects(shell.connect(0), /No route to host/);
    } finally {
      await shell.close();
    }
  });

  /** A storage folder as the installer leaves it. */
  const emptyStorage = (): string => {
    const storage = mkdtempSync(join(tmpdir(), 'berth-board-storage-'));
    chmodSync(storage, 0o755);
    return storage;
  };

  it('gets the revision of a test, is told what it lacks, and has its power switched by a command', async () => {
    const switched = join(folder, 'switched');
    const tree = await openTree(emptyStorage());
    const now = packed({ now: {} }, {});
    const power = `printf '%s ' >>${switched}`;
    const settings = {
      host: 'root@board',
      power,
      features: ['reboot' as const],
      program: ssh,
      remoteSocket: tree.socket,
    };
    const board = await openBoard(settings, now);
    try {
      tree.start(['--set', 'PV_UPDATER_COMMIT_DELAY=1']);
      const isOn = board.powerOn();
      await progressReaches(tree.socket, board.revision, 'TESTING');
      boots('second');
      await isOn;
      assert.deepEqual(
        (await settled(board)).map(({ name }) => name),
        ['now'],
      );
      assert.equal(board.lacks('reboot'), undefined);
      assert.equal(board.lacks('cut'), undefined);
      assert.equal(board.lacks('watchdog'), 'BERTH_HW_FEATURES does not name watchdog');
      assert.equal(await bootId(board), 'second');
      await board.cut();
      assert.equal(readFileSync(switched, 'utf8'), 'off ');
      await board.powerOn();
      assert.equal(readFileSync(switched, 'utf8'), 'off on ');
    } finally {
      await board.close();
      await tree.close();
      rmSync(now, { recursive: true, force: true });
    }
    assert.ok(!existsSync(board.socket), 'its sockets stay');
  });

  it('is held to what it promised with the revision that it was brought, and has its user-meta back at the end', async () => {
    const tree = await openTree(packed(OWNED, POOL));
    const storage = revision(0);
    const settings = { host: 'root@board', power: undefined, features: [], program: ssh, remoteSocket: tree.socket };
    const board = Object.assign(await openBoard(settings, storage), { storage: tree.storage });
    try {
      tree.start(['--set', 'PV_UPDATER_COMMIT_DELAY=1']);
      await healthyTree(tree);
      await putBytes(tree.socket, '/user-meta/mine', Buffer.from('as it was'));
      await putBytes(tree.socket, '/user-meta/updater.commit.delay', Buffer.from('2'));
      await board.powerOn();
      const promised = await prepare(board);
      await putBytes(tree.socket, '/user-meta/mine', Buffer.from('of a test'));
      assert.deepEqual([...promised.leases.keys()].sort(), ['churned', 'talks']);
      const kept = await keepsItsWord(board, promised, folder);
      assert.match(kept.told, /^locals\/hw-\d+ (DONE|UPDATED)/);
      await board.close();
      const own = { mine: 'as it was', 'updater.commit.delay': '2' };
      assert.deepEqual(await get(tree.socket, '/user-meta', userMeta), own);
    } finally {
      await board.close();
      await tree.close();
      rmSync(storage, { recursive: true, force: true });
    }
  });

  it('starts its supervisor again, which is found wherever its init keeps its pid', async () => {
    const tree = await openTree(packed(OWNED, POOL));
    try {
      const [nsenter, args] = tree.sandbox.enter([]);
      writeFileSync(ssh, sshBy([nsenter, ...args].join(' '), tree.socket));
      tree.start(['--set', 'PV_UPDATER_COMMIT_DELAY=1'], ON_FAILURE);
      const ran = await ended(
        start(['--target', 'ssh', '--json', '010'], {
          PATH: `${folder}:${process.env.PATH}`,
          BERTH_HW_SSH: 'root@board',
          BERTH_HW_FEATURES: 'init',
        }),
      );
      assert.equal(ran.status, 0, ran.output);
      assert.match(ran.output, /"starts the supervisor again.*"result":"passed"/);
    } finally {
      await tree.close();
    }
  });

  it('gives its busybox to what is packed, where that needs no libraries', async () => {
    const other = join(folder, 'other-busybox');
    const board = (program: string): void => {
      const bound = `unshare --mount --propagation private sh -c 'mount --bind ${program} /usr/bin/busybox && exec "$@"' sh`;
      writeFileSync(ssh, sshBy(bound));
    };
    board('/bin/sh');
    assert.throws(() => fetchBusybox('root@board', folder, ssh), /^Error: root@board: .*install busybox-static there$/);
    assert.throws(() => fetchBusybox('nobody@nowhere', folder, ssh), /need its busybox: ssh: .*No route to host/);
    writeFileSync(other, `${readFileSync('/usr/bin/busybox', 'latin1')}of the board`, 'latin1');
    board(other);
    const fetched = fetchBusybox('root@board', folder, ssh);
    process.env.BERTH_HW_BUSYBOX = fetched;
    const storage = packed({ one: {} }, {});
    try {
      const [image = ''] = readdirSync(join(storage, 'objects'))
        .map((name) => join(storage, 'objects', name))
        .filter((path) => readFileSync(path).toString('latin1', 0, 4) === 'hsqs');
      execFileSync('unsquashfs', ['-quiet', '-no-progress', '-dest', join(folder, 'root'), image]);
      assert.ok(readFileSync(join(folder, 'root/bin/busybox')).equals(readFileSync(other)));
    } finally {
      delete process.env.BERTH_HW_BUSYBOX;
      rmSync(storage, { recursive: true, force: true });
    }
  });
});
