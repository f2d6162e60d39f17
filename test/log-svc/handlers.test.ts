import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { logContract } from '../../services/log-svc/contract.ts';
import { logHandlers } from '../../services/log-svc/handlers.ts';
import type { Opened } from '../../services/log-svc/log-flow.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import { createMemoryBus, type MemoryBus } from '../../shared/ipc/memory-bus.ts';
import { CONTRACTS } from './log-rig.ts';

const TROUBLE = { code: 'LOG_UNWRITABLE', subject: '/s/logs/0', message: '/s/logs/0 cannot be written: EACCES' };

describe('log-svc.requests', () => {
  let bus: MemoryBus;
  let opened: Opened;
  const asked: string[] = [];

  beforeEach(() => {
    bus = createMemoryBus(CONTRACTS);
    opened = { ok: true };
    asked.length = 0;
    const channel = bus.connect('log-svc');
    const openRevision = (revision: string): Opened => {
      asked.push(revision);
      return opened;
    };
    channel.serve(logContract, logHandlers({ openRevision, troubles: () => [TROUBLE] }));
    channel.ready();
  });
  afterEach(() => bus.close());

  it('opens the revision that state-svc names', async () => {
    const client = bus.connect('state-svc').client(logContract);
    assert.deepEqual(await client.openRevision({ revision: 'locals/x' }), { ok: true, value: {} });
    assert.deepEqual(asked, ['locals/x']);
  });

  it('answers LOG_UNWRITABLE with the path and why', async () => {
    opened = { ok: false, path: '/s/logs/0', reason: 'EACCES' };
    const client = bus.connect('state-svc').client(logContract);
    assert.deepEqual(await client.openRevision({ revision: '0' }), {
      ok: false,
      error: { code: 'LOG_UNWRITABLE', path: '/s/logs/0', reason: 'EACCES' },
    });
  });

  it('answers health with what is wrong', async () => {
    const client = bus.connect('ctl-svc').client(logContract);
    assert.deepEqual(await client.health({}), { ok: true, value: { reasons: [TROUBLE] } });
  });

  it('is opened by nobody else, and never with a path for a name', async () => {
    const refused = (code: string) => (error: unknown) => error instanceof Fault && error.code === code;
    await assert.rejects(bus.connect('ctl-svc').client(logContract).openRevision({ revision: '0' }), refused('DENIED'));
    const client = bus.connect('state-svc').client(logContract);
    for (const revision of ['../../etc', 'a/b', '', '.hidden', 'locals/../x']) {
      await assert.rejects(client.openRevision({ revision }), refused('BAD_PARAMS'));
    }
    assert.deepEqual(asked, []);
  });
});
