// A container leaves links in what it writes: none of them leads Berth, which follows paths as root, to the host's folders.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { openRig, type Rig, traces } from './rig.ts';
import { allOf, end as endScripted, makeScripted, runToTheEnd as runScripted } from './scripted.ts';

reexecInNamespaces(import.meta.filename);

/** Of the host; what a link leads to depends on who follows it, so a container makes a folder of that name, too. */
const HOST = '/mnt/of-host';

let rig: Rig;
before(async () => {
  rig = await openRig();
  await rig.spawn();
  // Of this namespace alone.
  execFileSync('mount', ['-t', 'tmpfs', 'host', '/mnt']);
  mkdirSync(HOST);
  writeFileSync(join(HOST, 'shadow'), 'the host’s\n');
});
after(async () => {
  await rig.close();
});

const value: Rig['value'] = (answer) => rig.value(answer);
const runToTheEnd = (container: string, wanted: ReturnType<typeof allOf>) => runScripted(rig, container, wanted);
const end = (container: string) => endScripted(rig, container);
const hosts = (): string => readFileSync(join(HOST, 'shadow'), 'utf8');

describe('exports below one another', () => {
  it('cover no folder of the host where the container has left a link', async () => {
    const link = `busybox rm -rf /data/sub; busybox ln -s ${HOST} /data/sub`;
    makeScripted('covers', `${link}; mkdir -p ${HOST}; echo its >${HOST}/shadow`, []);
    const wanted = allOf('covers', [], ['data', 'data/sub']);
    await runToTheEnd('covers', wanted);
    await end('covers');
    const clean = traces();
    value(await rig.lxc.mount(wanted));
    assert.equal(hosts(), 'the host’s\n');
    await eventually('it is told', PATIENCE_MS, () =>
      /covers: \/data\/sub is not exported: \/data\/sub is a symbolic link/.test(rig.output()),
    );
    value(await rig.lxc.unmount({ container: 'covers' }));
    assert.deepEqual(traces(), clean);
  });
});
