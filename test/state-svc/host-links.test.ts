// What a revision bakes in of the machine's network, when it is loaded.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasHostLink } from '../../services/state-svc/host-links.ts';
import { APP, useDevices } from './kit.ts';
import { command, deviceForEach, install, reaches, TESTING_LIVE } from './updates-kit.ts';

const open = useDevices();
const openRunning = deviceForEach();

const linked = (link: string) => ({ ...APP, lxc: `lxc.net.0.type = veth\nlxc.net.0.link = ${link}\n` });

describe('a baked bridge', () => {
  it('that the machine lacks is warned of when a revision is loaded, and no other', async () => {
    const it = await open({ here: linked('lo'), web: linked('berth-nowhere') }, {});
    await it.boot();
    await it.untilStatus('web', 'STARTED');
    const told = it.lines.filter((line) => line.includes('which no pool has'));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /^warn web\/lxc\.container\.conf:\d: 'web' is put into bridge 'berth-nowhere'/);
  });

  it('is warned of as well where a revision comes without a reboot', async () => {
    const it = await openRunning({ a: APP });
    await install(it, 'locals/x', { a: APP, web: linked('berth-nowhere') });
    assert.equal(await command(it, 'LOCAL_RUN', 'locals/x'), 'accepted');
    await reaches(it, 'locals/x', TESTING_LIVE);
    assert.ok(it.lines.some((line) => line.includes("into bridge 'berth-nowhere'")));
  });
});

describe('hasHostLink', () => {
  it('knows what the machine has', () => {
    assert.deepEqual(['lo', 'berth-nowhere', '.', '../net/lo'].map(hasHostLink), [true, false, false, false]);
  });
});
