// A service that dies or hangs costs no container its life, no packet its way, and no caller more than a short wait.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { OUTSIDE_ADDRESS } from '../../scripts/sandbox/sandbox.ts';
import { SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { containerRows, get, leaseRows, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { startPing } from '../kit/traffic.ts';
import { openTree, PATIENCE_MS, PROGRAM, packExample, type Tree } from '../kit/tree.ts';

/** What a container gave its interface itself. */
const OWN_ADDRESS = '10.9.9.9/32';

describe('crash.services', () => {
  let tree: Tree;
  const inClient = (...command: string[]) =>
    tree.inside(['nsenter', `--net=${tree.rundir}/netns/net-client`, ...command]);
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
    assert.equal(inClient('ip', 'addr', 'add', OWN_ADDRESS, 'dev', 'eth0').status, 0);
  });
  after(() => tree.close());

  const services = () => get(tree.socket, '/services', serviceRows);
  const rowOf = async (name: string) => {
    const row = (await services()).find((candidate) => candidate.name === name);
    assert.ok(row, `${name} in /services`);
    return row;
  };
  const pids = async () =>
    (await get(tree.socket, '/containers', containerRows)).map(({ name, pid }) => ({ name, pid }));
  const pvcontrol = () =>
    spawnSync(process.execPath, [join(PROGRAM, 'pvcontrol.js'), '-s', tree.socket, 'ls'], {
      encoding: 'utf8',
      timeout: PATIENCE_MS,
    });

  for (const { service } of SERVICE_CONTRACTS) {
    for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
      it(`survives ${signal} of ${service}`, async (test) => {
        const before = { pids: await pids(), leases: await get(tree.socket, '/ipam/leases', leaseRows) };
        const victim = await rowOf(service);
        const server = before.leases.find(({ owner }) => owner === 'net-server');
        assert.ok(server);
        const pings = [startPing(tree, 'net-client', server.address), startPing(tree, 'net-client', OUTSIDE_ADDRESS)];
        tree.inside(['kill', `-${signal}`, String(victim.pid)]);
        const askedMs = performance.now();
        const answered = pvcontrol();
        test.diagnostic(`pvcontrol ls: ${Math.round(performance.now() - askedMs)} ms`);
        assert.equal(answered.status, 0, `pvcontrol ls: ${answered.stderr}`);
        const row = await eventually(`${service} is back`, PATIENCE_MS, async () => {
          const rows = await services().catch(() => undefined);
          const now = rows?.find(({ name }) => name === service);
          return now?.state === 'ready' && now.pid !== victim.pid ? now : undefined;
        });
        assert.equal(row.restarts, victim.restarts + 1);
        assert.match(row.last_exit?.reason ?? '', signal === 'SIGKILL' ? /SIGKILL/ : /stopped by a signal/);
        assert.deepEqual(await pids(), before.pids);
        assert.deepEqual(await get(tree.socket, '/ipam/leases', leaseRows), before.leases);
        await eventually('state-svc knows its network', PATIENCE_MS, async () =>
          (await get(tree.socket, '/containers', containerRows)).some(
            ({ name, network }) => name === 'net-client' && network !== undefined,
          ),
        );
        const { stdout: held } = inClient('ip', '-o', '-4', 'addr', 'show', 'dev', 'eth0');
        assert.ok(held.includes(OWN_ADDRESS), held);
        for (const ping of pings) {
          const { sent, received } = await ping.stop();
          assert.ok(sent > 0 && sent === received, `${sent - received} of ${sent} packets lost`);
        }
      });
    }
  }
});
