// Revisions that are not whole: nothing of them is started.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Device, sha256 } from './device.ts';
import { APP, health, POOLED, useDevices } from './kit.ts';

const open = useDevices();

describe('a revision that is not whole', () => {
  const quiet = ({ world }: Device) => world.calls.filter((call) => !/^(?:log|hooks)\./.test(call));

  it('with an object of another content is refused before anybody is asked for anything', async () => {
    const it = await open({ web: { ...APP, ...POOLED }, bad: APP });
    await writeFile(join(it.storage, 'objects', sha256('root of bad')), 'something else');
    await rm(join(it.storage, 'objects', sha256('root of web')));
    await (await it.boot()).settled;
    assert.deepEqual(quiet(it), []);
    assert.deepEqual(
      (await health(it)).map(({ code, subject, message }) => [code, subject, message.split(':')[0]]),
      [
        ['REVISION_REFUSED', 'web/root.squashfs', 'OBJECT_MISSING'],
        ['REVISION_REFUSED', 'bad/root.squashfs', 'OBJECT_CORRUPT'],
      ],
    );
    assert.ok(it.lines.some((line) => line.startsWith('error revision 0 refused: bad/root.squashfs: ')));
    assert.equal((await it.rows()).web?.status, 'INSTALLED');
  });

  it('is told of in a bounded number of lines, at a start and where it is asked for', async () => {
    const it = await open({ web: APP });
    const lacking = Array.from({ length: 200 }, (_, index) => [`web/f${index}`, sha256(`lacking ${index}`)]);
    const lack = async (name: string): Promise<void> => {
      const path = join(it.storage, 'trails', name, '.pvr/json');
      const state: unknown = JSON.parse(readFileSync(join(it.storage, 'trails/0/.pvr/json'), 'utf8'));
      await mkdir(join(path, '..'), { recursive: true });
      await writeFile(path, JSON.stringify(Object.assign(Object(state), Object.fromEntries(lacking))));
    };
    const told = (start: string) => it.lines.filter((line) => line.startsWith(start));
    const bounded = (lines: readonly string[]): void => {
      assert.equal(lines.length, 65);
      assert.match(lines[0] ?? '', /: web\/f0: .*\(OBJECT_MISSING\)$/);
      assert.match(lines.at(-1) ?? '', /: and 136 problems more/);
    };
    await lack('locals/next');
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    assert.ok((await it.state.runCommand({ op: 'LOCAL_RUN', payload: 'locals/next' })).ok);
    await it.until(() => told('error revision locals/next: ').length === 65);
    bounded(told('error revision locals/next: '));
    await lack('0');
    await (await it.boot()).settled;
    bounded(told('error revision 0 refused: '));
  });

  it('can be stopped container by container, and nothing of it started', async () => {
    const it = await open({ web: APP });
    await writeFile(join(it.storage, 'objects', sha256('root of web')), 'something else');
    await (await it.boot()).settled;
    const act = (action: 'start' | 'stop' | 'restart') => it.state.controlContainer({ container: 'web', action });
    assert.ok((await act('stop')).ok);
    await it.untilStatus('web', 'STOPPED');
    for (const action of ['start', 'restart'] as const) {
      const answer = await act(action);
      const reason = !answer.ok && answer.error.code === 'NOT_ALLOWED' ? answer.error.reason : '';
      assert.equal(reason, 'its revision was refused, GET /health says why');
    }
    assert.deepEqual(quiet(it), ['lxc.stop web', 'lxc.unmount web']);
  });

  for (const [what, file] of [
    ['an object', ({ storage }: Device) => join(storage, 'objects', sha256('root of web'))],
    ['its state', ({ storage }: Device) => join(storage, 'trails/0/.pvr/json')],
  ] as const) {
    it(`is taken up again with who has signalled READY meanwhile, when ${what} is whole again`, async () => {
      const it = await open({ web: { ...APP, status_goal: 'READY' }, other: APP });
      await it.boot();
      const { pid } = await it.untilStatus('web', 'STARTED');
      await it.untilStatus('other', 'STARTED');
      it.onReboot = () => false;
      const whole = readFileSync(file(it));
      writeFileSync(file(it), '{');
      await (await it.boot()).settled;
      assert.equal((await health(it))[0]?.code, 'REVISION_REFUSED');
      for (const container of ['web', 'other']) await it.state.signalReady({ container });
      writeFileSync(file(it), whole);
      await (await it.boot()).settled;
      const { web, other } = await it.rows();
      assert.deepEqual([web?.status, web?.pid, other?.status], ['READY', pid, 'STARTED']);
    });
  }

  it('with an unknown pool is refused, and its damaged objects are told in the same go', async () => {
    const it = await open({ web: { ...APP, network: { pool: 'does-not-exist' } } });
    await rm(join(it.storage, 'objects', sha256('root of web')));
    await (await it.boot()).settled;
    assert.deepEqual(quiet(it), []);
    assert.equal((await health(it)).length, 2);
    assert.ok(it.lines.some((line) => line.includes("references unknown pool 'does-not-exist', refusing to start")));
  });

  it('with a pool and lxc.net lines of its own in one container is refused', async () => {
    const it = await open({ web: { ...APP, ...POOLED, lxc: 'lxc.net.0.ipv4.address = 10.0.5.7/24\n' } });
    await (await it.boot()).settled;
    assert.deepEqual(quiet(it), []);
    const [reason] = await health(it);
    assert.deepEqual([reason?.code, reason?.subject], ['REVISION_REFUSED', 'web/lxc.container.conf:3']);
  });

  it('of which nothing is there is refused and the lists are empty', async () => {
    const it = await open({});
    await mkdir(join(it.storage, 'boot'), { recursive: true });
    await writeFile(join(it.storage, 'boot/current.json'), '{"revision":"7"}');
    await (await it.boot()).settled;
    assert.equal((await health(it))[0]?.code, 'REVISION_REFUSED');
    assert.deepEqual(await it.rows(), {});
    assert.deepEqual(quiet(it), []);
  });

  it('is refused when the address of a reservation is somebody else’s, and nobody is started', async () => {
    const it = await open({ web: APP });
    it.world.addressTaken = true;
    await (await it.boot()).settled;
    assert.deepEqual(quiet(it), ['ipam.configure 1']);
    assert.match((await health(it))[0]?.message ?? '', /10.0.5.9 .* held by other/);
  });
});
