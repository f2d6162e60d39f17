// The first thing a board must do: boot the example, let its containers reach each other and the outside, leave nothing.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chosenTarget } from './target.ts';

const target = chosenTarget();

describe(`hw.demo on ${target.name}`, () => {
  it('passes scripts/demo --check', () => {
    const { status, output } = target.run(['scripts/demo', '--check']);
    assert.equal(status, 0, output);
    assert.match(output, /server: hello from net-server/);
    assert.match(output, /outside host 203\.0\.113\.1 saw requests from 203\.0\.113\.2$/m);
    assert.match(output, /nothing is left/);
  });
});
