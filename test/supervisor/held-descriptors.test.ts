// What the supervisor lets go of at its end, and when it starts over in the same process.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { holdDescriptors } from '../../services/supervisor/held-descriptors.ts';
import { lockTree } from '../../services/supervisor/tree-lock.ts';
import { handOver } from '../kit/handover.ts';
import { openLingering } from '../kit/lingering.ts';

const LINGER_SECONDS = 60;

describe('supervisor.heldDescriptors', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-held-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('hangs up on clients of containers’ sockets, and does not wait for what containers left in them', async () => {
    const lock = await lockTree({ rundir: folder, storage: folder }, 0);
    const places = { rundir: folder, storage: folder, program: folder };
    const held = holdDescriptors(
      lock,
      ['log-svc'],
      places,
      { mode: 'appengine', settings: [], warnings: [], notes: [], sysctls: [] },
      () => undefined,
    );
    held.containerSockets.open('web');
    const path = join(folder, 'ctl/web/pv-fd-log');
    const lingering = openLingering(LINGER_SECONDS);
    handOver(path, Buffer.from('x'), [lingering.fd]);
    closeSync(lingering.fd);
    // Behind it in the queue.
    const client = connect(path);
    await once(client, 'connect');
    const hungUp = once(client, 'error');
    const sinceMs = performance.now();
    held.close();
    const closedMs = performance.now() - sinceMs;
    await hungUp;
    const hungUpMs = performance.now() - sinceMs;
    lingering.release();
    assert.ok(closedMs < (LINGER_SECONDS * 1000) / 2, `it stood still for ${closedMs} ms`);
    assert.ok(hungUpMs < (LINGER_SECONDS * 1000) / 2, `the client waited for ${hungUpMs} ms`);
  });
});
