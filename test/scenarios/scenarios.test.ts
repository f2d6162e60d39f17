// Every scenario on every back end that it is for, as `npm run scenarios` runs them.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { EXAMPLES } from '../kit/tree.ts';
import { SCENARIOS } from './all.ts';
import { runScenario } from './scenario.ts';

describe('scenarios', () => {
  it('has one for every example', () => {
    const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    assert.deepEqual(
      SCENARIOS.map(({ name }) => name),
      folders.map(({ name }) => name).sort(),
    );
  });

  for (const scenario of SCENARIOS) {
    for (const backend of scenario.backends) {
      it(`shows ${scenario.name} with ${backend}`, async () => {
        const { ok, message, log } = await runScenario(scenario, backend);
        assert.ok(ok, `${message}\n${log}`);
      });
    }
  }
});
