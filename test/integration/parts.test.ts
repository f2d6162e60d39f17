// A container is added to a running device, and taken away again, while the others run on.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { containerRows, get } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { EXAMPLES, openTree, PATIENCE_MS, PROGRAM, packExample, type Tree } from '../kit/tree.ts';

describe('steps add and remove on a device', () => {
  let tree: Tree;
  const work = mkdtempSync(join(tmpdir(), 'berth-parts-'));
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(async () => {
    await tree.close();
    rmSync(work, { recursive: true });
  });
  const done = (program: string, ...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(PROGRAM, program), ...args], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const pvcontrol = (...args: string[]) => done('pvcontrol.js', '-s', tree.socket, ...args);
  const pids = async (): Promise<ReadonlyMap<string, number | null | undefined>> =>
    new Map((await get(tree.socket, '/containers', containerRows)).map(({ name, pid }) => [name, pid]));

  it('leaves the containers alone that are in both', async () => {
    const source = join(work, 'containers/one-more');
    mkdirSync(join(work, 'containers'));
    cpSync(join(EXAMPLES, '01-basic/containers/net-client'), source, { recursive: true });
    cpSync(join(EXAMPLES, '01-basic/device.json'), join(work, 'device.json'));
    const archive = join(work, 'one-more.tgz');
    done('berth.js', 'pack', work, '-o', archive);
    const before = await pids();
    const { revision } = JSON.parse(pvcontrol('steps', 'add', archive));
    pvcontrol('cmd', 'run', revision);
    await eventually('it runs', PATIENCE_MS, async () => typeof (await pids()).get('one-more') === 'number');
    const { 'one-more': added, ...others } = Object.fromEntries(await pids());
    assert.ok(added);
    assert.deepEqual(others, Object.fromEntries(before));
  });
});
