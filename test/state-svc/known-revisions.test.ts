import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { knownOf } from '../../services/state-svc/known-revisions.ts';
import { refused } from '../../services/state-svc/verify-revision.ts';
import { parseState } from '../../shared/revision/validate.ts';
import { stateOf } from './device.ts';
import { APP } from './kit.ts';

const documents: Readonly<Record<string, unknown>> = {
  fine: stateOf({ web: APP }, {}).document,
  invalid: { 'old/run.json': { group: 7 } },
};
const store = {
  readObject: () => undefined,
  readState: async (name: string) =>
    name in documents
      ? { ok: true as const, value: documents[name] }
      : { ok: false as const, problems: [{ path: name, code: 'DAMAGED', message: 'it is no JSON' }] },
};

describe('known revisions', () => {
  const parsed = parseState(documents.fine, () => undefined);
  assert.ok(parsed.ok);
  const candidate = { ...refused('running', []), revision: parsed.revision };
  const running = { name: 'running', containers: [], candidate };
  const known = (...names: string[]) => knownOf(running, names, store);

  it('are known with all of their containers, also those of one that has become invalid', async () => {
    const { containers, isComplete } = await known('running', 'fine', 'invalid');
    assert.deepEqual([[...containers].sort(), isComplete], [['old', 'web'], true]);
  });

  it('are not all known where the state of one cannot be read', async () => {
    assert.equal((await known('fine', 'unreadable')).isComplete, false);
  });

  it('are not all known where what runs was refused', async () => {
    assert.equal((await knownOf({ ...running, candidate: refused('running', []) }, ['fine'], store)).isComplete, false);
  });
});
