// A board over ssh, played by a sandbox: a program in ssh's place runs commands here, and links the control socket where it would be forwarded.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { packed, settled } from '../../hw-tests/device.ts';
import { bootId } from '../../hw-tests/target.ts';
import { openBoard } from '../../hw-tests/targets/board.ts';
import { secureShell } from '../../hw-tests/targets/secure-shell.ts';
import { openTree } from '../kit/tree.ts';

const SSH = `#!/bin/sh
main=no
while [ "$1" != -- ]; do
  case $1 in
  -M) main=yes ;;
  -S) control=$2 && shift ;;
  -L) ln -sf "\${2#*:}" "\${2%%:*}" && shift ;;
  -o) shift ;;
  esac
  shift
done
[ "$2" != nobody@nowhere ] || { echo 'ssh: connect to host nowhere: No route to host' >&2 && exit 255; }
shift 2
[ "$main" = no ] || { : >"$control" && exec sleep 1000; }
exec sh -c "$*"
`;

describe('a board over ssh', () => {
  let folder: string;
  let ssh: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-board-'));
    ssh = join(folder, 'ssh');
    writeFileSync(ssh, SSH);
    chmodSync(ssh, 0o755);
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

  it('gets the revision of a test, is told what it lacks, and has its power switched by a command', async () => {
    const switched = join(folder, 'switched');
    const tree = await openTree(packed({ before: {} }, {}));
    const revision = packed({ now: {} }, {});
    const power = `printf '%s ' >>${switched}`;
    const settings = {
      host: 'root@board',
      power,
      features: ['reboot' as const],
      program: ssh,
      remoteSocket: tree.socket,
    };
    const board = await openBoard(settings, revision);
    try {
      tree.start(['--set', 'PV_UPDATER_COMMIT_DELAY=1']);
      await tree.up();
      await board.powerOn();
      assert.deepEqual(
        (await settled(board)).map(({ name }) => name),
        ['now'],
      );
      assert.equal(board.lacks('reboot'), undefined);
      assert.equal(board.lacks('cut'), undefined);
      assert.equal(board.lacks('watchdog'), 'BERTH_HW_FEATURES does not name watchdog');
      assert.match(await bootId(board), /^[0-9a-f-]{36}$/);
      await board.cut();
      assert.equal(readFileSync(switched, 'utf8'), 'off ');
      await board.powerOn();
      assert.equal(readFileSync(switched, 'utf8'), 'off on ');
    } finally {
      await board.close();
      await tree.close();
      rmSync(revision, { recursive: true, force: true });
    }
    assert.ok(!existsSync(board.socket), 'its sockets stay');
  });
});
