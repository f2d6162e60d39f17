// Device nodes of a packed container, from its mdev.json to its /dev: before its init runs, through all services.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { attached, openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const FIRST = "#!/bin/sh\ntrap 'exit 0' TERM PWR\n/bin/busybox stat -c '%n %F %a' /dev/loop-control >/seen\n";
const STAY = 'while :; do /bin/busybox sleep 1; done\n';

function writeSource(): string {
  const source = mkdtempSync(join(tmpdir(), 'berth-devices-'));
  writeFileSync(join(source, 'device.json'), '{"network":{"pools":{}}}');
  const folder = join(source, 'containers/lab');
  mkdirSync(folder, { recursive: true });
  const args = { PV_GROUP: 'app', PV_RESTART_POLICY: 'container', PV_LXC_NETWORK_TYPE: 'empty' };
  writeFileSync(join(folder, 'args.json'), JSON.stringify(args));
  writeFileSync(join(folder, 'mdev.json'), JSON.stringify({ rules: ['.* 0:0 666', 'a( 0:0 666'] }));
  writeFileSync(join(folder, 'init'), `${FIRST}${STAY}`);
  const root = ['file /bin/busybox /usr/bin/busybox|/bin/busybox 0755', 'link /bin/sh busybox', 'file /init init 0755'];
  writeFileSync(join(folder, 'rootfs.list'), `${[...root, 'dir /dev', 'dir /etc'].join('\n')}\n`);
  return source;
}

describe('device nodes', () => {
  let tree: Tree;
  before(async () => {
    const source = writeSource();
    tree = await openTree(packExample(source));
    rmSync(source, { recursive: true });
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  it('are there when the init of a container with rules begins; a rule that cannot be read is warned of', async () => {
    const said = await eventually('what it says', PATIENCE_MS, () => {
      const { stdout } = tree.inside(attached(tree, 'lab', ['/bin/busybox', 'cat', '/seen']));
      return stdout.includes('\n') ? stdout : undefined;
    });
    assert.equal(said, '/dev/loop-control character special file 666\n');
    const warned = /lab\/mdev\.json\.rules\[1\].*has a \( without its \)/;
    await eventually('the warning', PATIENCE_MS, () => warned.test(tree.readLog('pantavisor/pantavisor.log')));
  });
});
