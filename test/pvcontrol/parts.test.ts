// pvcontrol steps add and remove: the running revision with other containers, or without some, as a new one.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, beforeEach, describe, it } from 'node:test';
import { usePvcontrol } from './program.ts';

const SPEC = '"#spec":"pantavisor-service-system@1"';
/** Values that JSON.parse does not keep as they are written. */
const EXACT = '{"n":12345678901234567890, "one":1.0}';
const RUNNING = `{${SPEC},"device.json":{"d":1},"_config/web/etc/id.json":${EXACT},"_config/db/etc/x":{},
  "web/run.json":{"v":1},"web/old.json":{},"db/run.json":{},"_sigs/web.json":{},"_sigs/db.json":{},"bsp/run.json":{}}`;

const CONTENT = 'an image';
const SHA = createHash('sha256').update(CONTENT).digest('hex');

describe('pvcontrol steps add and remove', () => {
  const pv = usePvcontrol();
  before(() => {
    const state = join(pv.rig.folder, 'trails/0/.pvr/json');
    mkdirSync(dirname(state), { recursive: true });
    writeFileSync(state, RUNNING);
  });
  beforeEach(() => {
    pv.rig.world.store.states.clear();
    pv.rig.world.store.objects.clear();
  });
  const { run } = pv;
  /** As berth pack makes them. */
  const archive = (name: string, state: string): string => {
    const folder = join(pv.program.folder, `${name}.d`);
    mkdirSync(join(folder, 'objects'), { recursive: true });
    writeFileSync(join(folder, 'json'), state);
    writeFileSync(join(folder, 'objects', SHA), CONTENT);
    const path = join(pv.program.folder, `${name}.tgz`);
    execFileSync('tar', ['-czf', path, '-C', folder, 'json', 'objects']);
    return path;
  };
  const brought = (name: string): Record<string, unknown> => JSON.parse(pv.rig.world.store.states.get(name) ?? 'null');

  it('adds a container to those that are there, with its objects, and no value written otherwise', async () => {
    const file = archive('cache', `{${SPEC},"cache/run.json":${EXACT},"cache/root.squashfs":"${SHA}"}`);
    const added = await run('-m', 'a cache', 'steps', 'add', file, 'locals/more');
    assert.deepEqual(added, { exitCode: 0, stdout: '{"revision":"locals/more"}\n', stderr: '' });
    assert.equal(pv.rig.world.store.objects.get(SHA)?.toString(), CONTENT);
    assert.equal(pv.rig.world.store.steps.get('locals/more')?.commitmsg, 'a cache');
    assert.deepEqual(brought('locals/more'), {
      ...JSON.parse(RUNNING),
      'cache/run.json': JSON.parse(EXACT),
      'cache/root.squashfs': SHA,
    });
    assert.equal(pv.rig.world.store.states.get('locals/more')?.split(EXACT).length, 3);
  });

  it('puts a part in the place of its like, with its signature and configuration, and keeps what is the device’s', async () => {
    const web = archive('web', `{${SPEC},"device.json":{"d":2},"groups.json":[],"web/run.json":{"v":2}}`);
    const db = archive('db', `{${SPEC},"device.json":{ "d": 1 },"db/run.json":{"v":2},"_sigs/db.json":{"new":1}}`);
    const { exitCode, stderr } = await run('steps', 'add', web, db, 'locals/next', '');
    const left = `pvcontrol: ${web}: its device.json is left out, as the device has its own; steps install brings all\n`;
    assert.deepEqual([exitCode, stderr], [0, left]);
    assert.deepEqual(brought('locals/next'), {
      '#spec': 'pantavisor-service-system@1',
      'device.json': { d: 1 },
      'groups.json': [],
      'web/run.json': { v: 2 },
      'db/run.json': { v: 2 },
      '_sigs/db.json': { new: 1 },
      'bsp/run.json': {},
    });
  });

  it('removes a container with all that is its own', async () => {
    const { stdout } = await run('steps', 'remove', 'web', 'bsp', 'locals/less');
    assert.equal(stdout, '{"revision":"locals/less"}\n');
    assert.deepEqual(Object.keys(brought('locals/less')).sort(), [
      '#spec',
      '_config/db/etc/x',
      '_sigs/db.json',
      'db/run.json',
      'device.json',
    ]);
  });

  it('names a revision by what it is where nobody names it', async () => {
    const state = (version: number): string => `{${SPEC},"web/run.json":{"v":${version}}}`;
    const name = async (file: string): Promise<string> => (await run('--table', 'steps', 'add', file)).stdout;
    const first = await name(archive('web app', state(7)));
    assert.match(first, /^locals\/web-app-[0-9a-f]{8}\n$/);
    assert.equal(await name(archive('web app', state(7))), first);
    assert.notEqual(await name(archive('web app', state(8))), first);
    assert.match((await run('--table', 'steps', 'remove', 'web')).stdout, /^locals\/without-web-[0-9a-f]{8}\n$/);
  });

  it('refuses what it cannot do before anything is sent', async () => {
    const file = archive('any', `{${SPEC}}`);
    for (const [words, text] of [
      [['remove', 'wbe'], "'wbe' is not in the running revision. There are: bsp, db, web."],
      [['remove', 'web', 'locals/'], "'locals/' cannot be the name of a revision: "],
      [['add', file, 'locals/a/b'], "'locals/a/b' cannot be the name of a revision: "],
      [['add', archive('list', '[]'), 'locals/x'], 'list.tgz: its json is no JSON object'],
      [['add', '/nowhere.tgz'], 'ENOENT'],
    ] as const) {
      const { exitCode, stderr } = await run('steps', ...words);
      assert.equal(exitCode, 255);
      assert.ok(stderr.includes(text), stderr);
    }
    assert.equal(pv.rig.world.store.states.size, 0);
    assert.equal((await run('steps', 'add')).exitCode, 1);
    pv.rig.world.store.problems = [{ path: 'web/run.json', code: 'X', message: 'is wrong' }];
    assert.equal((await run('steps', 'add', file)).exitCode, 70);
    pv.rig.world.store.problems = [];
  });
});
