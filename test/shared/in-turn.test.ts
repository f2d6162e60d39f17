import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createTurn } from '../../shared/time/in-turn.ts';

describe('createTurn', () => {
  it('starts each when the one before it is over, also where that failed, and answers as each does', async () => {
    const inTurn = createTurn();
    const said: string[] = [];
    const one = (name: string, fails: boolean) =>
      inTurn(async () => {
        said.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        said.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      });
    const answers = await Promise.allSettled([one('first', true), one('second', false)]);
    assert.deepEqual(said, ['first begins', 'first ends', 'second begins', 'second ends']);
    assert.deepEqual(
      answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : String(answer.reason))),
      ['Error: first', 'second'],
    );
  });
});
