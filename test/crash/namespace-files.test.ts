// A container's namespace file that is unmounted while nobody holds the namespace comes back under the container that runs on.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { OUTSIDE_ADDRESS } from '../../scripts/sandbox/sandbox.ts';
import { ask, containerRows, get, healthAnswer, leaseRows, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { startPing } from '../kit/traffic.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const NAME = 'net-client';

describe('crash.namespace-files', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  const row = async () => (await get(tree.socket, '/containers', containerRows)).find(({ name }) => name === NAME);
  const inodeOf = (path: string): string => tree.inside(['stat', '-L', '-c', '%i', path]).stdout.trim();
  const file = (): string => `${tree.rundir}/netns/${NAME}`;
  const links = (): readonly string[] => tree.inside(['ip', '-o', '-br', 'link']).stdout.trim().split('\n').sort();
  const netnsMounts = (): string =>
    tree.inside(['grep', '-c', `${tree.rundir}/netns/`, '/proc/self/mounts']).stdout.trim();
  const netSvc = async () => {
    const rows = await get(tree.socket, '/services', serviceRows);
    return rows.find(({ name }) => name === 'net-svc');
  };

  /** Unmounts the file within `away`, in which nobody holds the namespace, and compares. */
  const survives = async (away: () => Promise<void>): Promise<void> => {
    const before = { row: await row(), leases: await get(tree.socket, '/ipam/leases', leaseRows) };
    const pid = before.row?.pid ?? 0;
    const inode = inodeOf(`/proc/${pid}/ns/net`);
    assert.equal(inodeOf(file()), inode);
    const ping = startPing(tree, NAME, OUTSIDE_ADDRESS);
    await ping.entered();
    await away();
    await eventually('the file names the namespace again', PATIENCE_MS, () => inodeOf(file()) === inode);
    await eventually('health is well', PATIENCE_MS, async () => {
      const health = await get(tree.socket, '/health', healthAnswer).catch(() => undefined);
      return health !== undefined && !health.reasons.some(({ code }) => code.startsWith('NETWORK'));
    });
    await tree.up();
    assert.equal((await row())?.pid, pid);
    assert.deepEqual(await get(tree.socket, '/ipam/leases', leaseRows), before.leases);
    const { sent, received } = await ping.stop();
    assert.ok(sent > 0 && sent === received, `${sent - received} of ${sent} packets lost`);
  };

  it('while net-svc is dead', async () => {
    const victim = await netSvc();
    assert.ok(victim);
    // In one breath: the next net-svc needs longer than this to come up.
    await survives(async () => {
      const both = ['sh', '-c', 'kill -KILL "$1" && umount -l "$2"', 'sh', String(victim.pid), file()];
      assert.equal(tree.inside(both).status, 0);
    });
    assert.notEqual((await netSvc())?.pid, victim.pid);
  });

  it('while the whole tree is dead', () =>
    survives(async () => {
      await tree.killSupervisor();
      assert.equal(tree.inside(['umount', '-l', file()]).status, 0);
      tree.start();
      await tree.up();
    }));

  it('and the container leaves nothing when it is restarted afterwards', async () => {
    const before = { links: links().length, mounts: netnsMounts(), pid: (await row())?.pid };
    const answer = await ask(tree.socket, 'PUT', `/containers/${NAME}`, { action: 'restart' });
    assert.ok(answer.status < 300, JSON.stringify(answer));
    await eventually('it runs anew', PATIENCE_MS, async () => {
      const now = await row();
      return now?.pid !== undefined && now.pid !== before.pid && now.status === now.status_goal;
    });
    await tree.up();
    // A link that was taken down is deleted a little later.
    await eventually('links as before', PATIENCE_MS, () => links().length === before.links);
    assert.equal(netnsMounts(), before.mounts);
  });
});
