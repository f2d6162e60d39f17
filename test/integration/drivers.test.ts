// Drivers on a real tree, through the real lxc-svc: modprobe is a program that writes down how it was called, and what would be loaded.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ask, containerRows, get, healthAnswer, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const DRIVERS = {
  '#spec': 'driver-aliases@1',
  all: { wifi: ['cfg80211', 'brcmfmac $' + '{user-meta:wifi.opts}'], gone: ['missing'], spare: ['zram'] },
  'dtb:Fine Board': { wifi: ['finewifi'] },
};
const INIT = '#!/bin/busybox sh\ntrap "exit 0" TERM PWR\nwhile :; do /bin/busybox sleep 0.2; done\n';
const CONTAINERS = {
  able: {
    PV_DRIVERS_REQUIRED: ['wifi'],
    PV_DRIVERS_OPTIONAL: ['gone'],
    PV_DRIVERS_MANUAL: ['spare'],
    PV_ROLES: ['mgmt'],
  },
  unable: { PV_DRIVERS_REQUIRED: ['gone'] },
};

function packDrivers(): string {
  const source = mkdtempSync(join(tmpdir(), 'berth-drivers-'));
  mkdirSync(join(source, 'bsp'));
  writeFileSync(join(source, 'bsp/drivers.json'), JSON.stringify(DRIVERS));
  for (const [name, args] of Object.entries(CONTAINERS)) {
    const folder = join(source, 'containers', name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'init'), INIT);
    writeFileSync(
      join(folder, 'rootfs.list'),
      'file /bin/busybox /usr/bin/busybox|/bin/busybox 0755\nfile /init init 0755\n',
    );
    const common = { PV_GROUP: 'app', PV_RESTART_POLICY: 'container', PV_AUTO_RECOVERY: { policy: 'no' } };
    writeFileSync(join(folder, 'args.json'), JSON.stringify({ ...common, ...args }));
  }
  const storage = packExample(source);
  rmSync(source, { recursive: true });
  return storage;
}

describe('integration.drivers', () => {
  let tree: Tree;
  let calls: string;
  before(async () => {
    tree = await openTree(packDrivers());
    const proc = join(tree.sandbox.shared, 'proc');
    calls = join(tree.sandbox.shared, 'calls');
    const modprobe = join(tree.sandbox.shared, 'modprobe');
    mkdirSync(proc);
    writeFileSync(
      modprobe,
      `#!/bin/sh
echo "$*" >>${calls}
case "$1" in
missing) echo "modprobe: FATAL: Module missing not found" >&2; exit 1;;
-r) sed -i "/^$2 /d" ${proc}/modules;;
*) grep -q "^$1 " ${proc}/modules || echo "$1 4096 0 - Live 0x0" >>${proc}/modules;;
esac
`,
      { mode: 0o755 },
    );
    writeFileSync(join(proc, 'modules'), '');
    tree.start(['--set', `BERTH_MODPROBE=${modprobe}`, '--set', `BERTH_PROC=${proc}`]);
    await eventually('able runs', PATIENCE_MS, async () => (await status('able')) === 'STARTED');
    await eventually('unable is stopped', PATIENCE_MS, async () => (await status('unable')) === 'STOPPED');
  });
  after(() => tree.close());

  const status = async (name: string): Promise<string | undefined> => {
    if (!existsSync(tree.socket)) return undefined;
    const rows = await get(tree.socket, '/containers', containerRows).catch(() => []);
    return rows.find((row) => row.name === name)?.status;
  };
  const called = (): readonly string[] => readFileSync(calls, 'utf8').trimEnd().split('\n').sort();
  const put = (path: string) => ask(tree.socket, 'PUT', path);
  const listed = async (): Promise<unknown> => JSON.parse((await ask(tree.socket, 'GET', '/drivers')).body);
  const act = async (action: string, reached: string): Promise<void> => {
    assert.equal((await ask(tree.socket, 'PUT', '/containers/able', { action })).status, 200);
    await eventually(`able ${reached}`, PATIENCE_MS, async () => (await status('able')) === reached);
  };

  it('starts who has its required drivers, and names what the other lacks', async () => {
    assert.deepEqual(called(), ['brcmfmac', 'cfg80211', 'missing', 'missing']);
    const { status: code, body } = await ask(tree.socket, 'GET', '/health');
    assert.equal(code, 503);
    const health = healthAnswer.parse(JSON.parse(body));
    const reason = health.reasons.find(({ subject }) => subject === 'unable');
    assert.match(reason?.message ?? '', /required driver 'gone': modprobe missing: Module missing not found/);
    await eventually('that it is logged', PATIENCE_MS, () =>
      /able: starts without driver 'gone'/.test(tree.readLog('pantavisor/pantavisor.log')),
    );
  });

  it('lists all of them for the host, and loads and unloads any', async () => {
    const expected = (spare: string) => [
      { name: 'wifi', type: 'REQUIRED', status: 'LOADED' },
      { name: 'gone', type: 'REQUIRED', status: 'UNLOADED' },
      { name: 'spare', type: 'MANUAL', status: spare },
    ];
    assert.deepEqual(await listed(), expected('UNLOADED'));
    assert.deepEqual(await put('/drivers/load'), { status: 200, body: '' });
    assert.deepEqual(await listed(), expected('LOADED'));
    assert.deepEqual(await put('/drivers/spare/unload'), { status: 200, body: '' });
    assert.deepEqual(await put('/drivers/spare/unload'), { status: 200, body: '' });
    assert.deepEqual(await listed(), expected('UNLOADED'));
    const refused = await put('/drivers/gone/load');
    assert.deepEqual([refused.status, /modprobe missing: .*not found/.test(refused.body)], [500, true]);
    assert.equal((await put('/drivers/nosuch/load')).status, 404);
  });

  it('answers a container about its own, and lets it change the manual ones', async () => {
    const able = `${tree.rundir}/ctl/able/pv-ctrl`;
    const own = async () => {
      const rows: { name: string; status: string }[] = JSON.parse((await ask(able, 'GET', '/drivers')).body);
      return rows.map(({ name, status: loaded }) => `${name} ${loaded}`);
    };
    assert.deepEqual(await own(), ['wifi LOADED', 'gone UNLOADED', 'spare UNLOADED']);
    assert.equal((await ask(able, 'PUT', '/drivers/load')).status, 200);
    assert.deepEqual(await own(), ['wifi LOADED', 'gone UNLOADED', 'spare LOADED']);
    assert.equal((await ask(able, 'PUT', '/drivers/wifi/unload')).status, 200);
    assert.equal((await ask(able, 'PUT', '/drivers/unload')).status, 200);
    assert.deepEqual(await own(), ['wifi LOADED', 'gone UNLOADED', 'spare UNLOADED']);
  });

  it('gives options from user-meta at the next start, and leaves modules loaded at a stop', async () => {
    tree.inside([
      'curl',
      '-sS',
      '--unix-socket',
      tree.socket,
      '-X',
      'PUT',
      '-d',
      'power=1 roam=0',
      'http://x/user-meta/wifi.opts',
    ]);
    await act('stop', 'STOPPED');
    assert.ok(!called().some((call) => call.startsWith('-r brcmfmac')));
    await act('start', 'STARTED');
    assert.ok(called().includes('brcmfmac power=1 roam=0'));
  });

  it('still knows what is loaded after both services were killed', async () => {
    const before = await listed();
    for (const name of ['lxc-svc', 'state-svc']) {
      const found = (await get(tree.socket, '/services', serviceRows)).find((row) => row.name === name);
      assert.ok(found);
      tree.inside(['kill', '-KILL', String(found.pid)]);
      await eventually(`${name} is back`, PATIENCE_MS, async () => {
        const now = (await get(tree.socket, '/services', serviceRows)).find((row) => row.name === name);
        return now !== undefined && now.pid !== found.pid && now.state === 'ready';
      });
    }
    await eventually('the same drivers', PATIENCE_MS, async () => {
      const { status: code, body } = await ask(tree.socket, 'GET', '/drivers');
      return code === 200 && body === JSON.stringify(before);
    });
    assert.equal(await status('able'), 'STARTED');
  });
});
