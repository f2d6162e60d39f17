// Whatever is started, stopped and killed: nobody keeps descriptors of it, and LXC's monitors get none of the tree's.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { ask, containerRows, get, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const CYCLES = 5;
/** A connection of the control API, a file that is being read: what comes and goes. */
const PASSING = 3;
const FLAT_MS = 30_000;

describe('crash.descriptors', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  const nameOf = (pid: number): string =>
    /[a-z]+-svc(?=\.js)/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[0] ?? 'supervisor';
  const counts = (): ReadonlyMap<string, number> =>
    new Map(tree.processes().map((pid) => [nameOf(pid), readdirSync(`/proc/${pid}/fd`).length]));
  /** Threads that hash objects after a start of state-svc end a while later. */
  const flat = (first: ReadonlyMap<string, number>) =>
    eventually('descriptors as before', FLAT_MS, () => {
      const now = counts();
      return [...first].every(([name, count]) => (now.get(name) ?? Number.POSITIVE_INFINITY) <= count + PASSING);
    }).catch((error: unknown) => assert.fail(`${error}: ${JSON.stringify([[...first], [...counts()]])}`));
  const act = async (action: string, status: string): Promise<void> => {
    const answer = await ask(tree.socket, 'PUT', '/containers/net-server', { action });
    assert.equal(answer.status, 200, answer.body);
    await eventually(`net-server ${status}`, PATIENCE_MS, async () => {
      const found = await get(tree.socket, '/containers', containerRows);
      return found.some((row) => row.name === 'net-server' && row.status === status);
    });
  };

  it('are the same after containers were stopped and started', async () => {
    const first = counts();
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      await act('stop', 'STOPPED');
      await act('start', 'STARTED');
    }
    await flat(first);
  });

  it('are the same after every service was killed', async () => {
    const first = counts();
    for (const { service } of SERVICE_CONTRACTS) {
      const victim = tree.processes().find((pid) => nameOf(pid) === service);
      assert.ok(victim);
      process.kill(victim, 'SIGKILL');
      await eventually(`${service} is back`, PATIENCE_MS, async () => {
        const rows = await get(tree.socket, '/services', serviceRows).catch(() => undefined);
        return rows?.find(({ name }) => name === service)?.restarts === 1 && rows.every((row) => row.state === 'ready');
      });
    }
    await flat(first);
  });

  it('of the tree are in no monitor: its locks would be held for as long as a container runs', () => {
    const { stdout } = tree.inside([
      'sh',
      '-c',
      'for pid in $(pgrep -f "^.lxc monitor"); do ls -l /proc/$pid/fd; done',
    ]);
    assert.match(stdout, /lxc\.log/, 'there are monitors to look at');
    assert.doesNotMatch(stdout, /\/lock$|\/storage$|pipe:/m);
  });
});
