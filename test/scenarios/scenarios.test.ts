import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { EXAMPLES } from '../kit/tree.ts';
import { SCENARIOS } from './all.ts';
import { PARTS, showPart } from './parts.ts';

describe('scenarios', () => {
  it('has one for every example, in one of its parts', () => {
    const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const names = folders.map(({ name }) => name).sort();
    assert.deepEqual(
      SCENARIOS.map(({ name }) => name),
      names,
    );
    assert.deepEqual(Object.values(PARTS).flat().sort(), names);
  });
});

showPart('others');
