// The proof that nothing is left sees everything while it is there, whatever other trees do meanwhile.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { footprintOf, leftovers, machineState } from '../../scripts/sandbox/leftovers.ts';
import { openTree, packExample } from '../kit/tree.ts';

describe('sandbox.leftovers', () => {
  it('names loop devices, control groups, processes and folders of a tree that runs, and none of them after its end', async () => {
    const before = machineState();
    const [tree, other] = [await openTree(packExample('01-basic')), await openTree(packExample('01-basic'))];
    try {
      for (const each of [tree, other]) each.start();
      for (const each of [tree, other]) await each.up();
      const footprint = footprintOf(tree.sandbox, tree.storage);
      const kinds = leftovers(before, footprint).map((line) => line.split(' ')[0]);
      for (const kind of ['loop', 'file', 'process']) assert.ok(kinds.includes(kind), kind);
      assert.ok(footprint.cgroups.length > 0);
      // Killed, not stopped: nobody cleans up but the sandbox.
      await tree.close();
      assert.deepEqual(leftovers(before, footprint), []);
      assert.ok(leftovers(before, footprintOf(other.sandbox, other.storage)).length > 0, 'the other tree is untouched');
    } finally {
      await other.close();
    }
  });
});
