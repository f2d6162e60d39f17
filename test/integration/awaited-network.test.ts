// What the network of containers waits for when a device boots: a parent that is plugged in later, and a subnet that a VPN has meanwhile.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { ask, containerRows, get, healthAnswer } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { writeSource } from '../kit/step.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const POOLS = {
  internal: { type: 'bridge', bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: false },
  lan: { type: 'macvlan', parent: 'usb0', subnet: '192.0.2.0/24', gateway: '192.0.2.1' },
};
const RECOVERY = { policy: 'always', max_retries: 1, retry_delay: 1, backoff_policy: 'reboot' };
const CONTAINERS = {
  web: { args: { PV_NETWORK_POOL: 'internal' } },
  cam: { args: { PV_NETWORK_POOL: 'lan', PV_AUTO_RECOVERY: RECOVERY } },
  plain: {},
};

describe('integration.awaited-network', () => {
  let tree: Tree | undefined;
  afterEach(() => tree?.close());

  const open = async (): Promise<Tree> => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-awaited-'));
    const storage = packExample(writeSource(join(folder, 'source'), CONTAINERS, { network: { pools: POOLS } }));
    rmSync(folder, { recursive: true });
    tree = await openTree(storage);
    return tree;
  };
  const inside = ({ inside: run }: Tree, ...command: readonly string[]): void => {
    const { status, stderr } = run(command);
    assert.equal(status, 0, stderr);
  };
  const plugIn = (device: Tree, link: string): void => {
    inside(device, 'ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', `${link}-far`);
    for (const end of [link, `${link}-far`]) inside(device, 'ip', 'link', 'set', end, 'up');
  };
  const until = ({ socket }: Tree, container: string, status: string) =>
    eventually(`${container} is ${status}`, PATIENCE_MS, async () => {
      // The socket is not there from the first moment on.
      const rows = await get(socket, '/containers', containerRows).catch(() => []);
      return rows.some((row) => row.name === container && row.status === status);
    });
  const reasons = async ({ socket }: Tree): Promise<readonly string[]> => {
    const { body } = await ask(socket, 'GET', '/health');
    return healthAnswer.parse(JSON.parse(body)).reasons.map(({ code }) => code);
  };

  it('starts all but the containers of a parent that is missing, and these when it is there', async () => {
    const device = await open();
    device.start();
    for (const name of ['web', 'plain']) await until(device, name, 'STARTED');
    await until(device, 'cam', 'STOPPED');
    assert.deepEqual((await reasons(device)).toSorted(), ['CONTAINER_FAILED', 'PARENT_GONE']);
    plugIn(device, 'usb0');
    await until(device, 'cam', 'STARTED');
    await eventually('health is well', PATIENCE_MS, async () => (await reasons(device)).length === 0);
  });

  it('has a container whose parent is pulled wait for it when it ends, without a reboot', async () => {
    const device = await open();
    plugIn(device, 'usb0');
    device.start();
    for (const name of ['web', 'cam']) await until(device, name, 'STARTED');
    inside(device, 'ip', 'link', 'del', 'usb0');
    const rows = await get(device.socket, '/containers', containerRows);
    inside(device, 'kill', '-KILL', String(rows.find(({ name }) => name === 'cam')?.pid));
    await until(device, 'cam', 'STOPPED');
    assert.ok(!(await reasons(device)).includes('RECOVERY_EXHAUSTED'));
    plugIn(device, 'usb0');
    await until(device, 'cam', 'STARTED');
    await eventually('health is well', PATIENCE_MS, async () => (await reasons(device)).length === 0);
    assert.ok(!/reboot for/.test(device.output()));
  });

  it('has the containers of a pool wait for a VPN to leave their subnet, and no other; halves of everything are nothing', async () => {
    const device = await open();
    for (const link of ['usb0', 'tun0']) plugIn(device, link);
    for (const half of ['0.0.0.0/1', '128.0.0.0/1']) inside(device, 'ip', 'route', 'add', half, 'dev', 'tun0');
    inside(device, 'ip', 'route', 'add', '10.0.0.0/16', 'dev', 'tun0');
    device.start();
    for (const name of ['plain', 'cam']) await until(device, name, 'STARTED');
    await until(device, 'web', 'STOPPED');
    assert.ok((await reasons(device)).includes('POOLS_NOT_READY'));
    inside(device, 'ip', 'route', 'del', '10.0.0.0/16');
    await until(device, 'web', 'STARTED');
    await eventually('health is well', PATIENCE_MS, async () => (await reasons(device)).length === 0);
  });
});
