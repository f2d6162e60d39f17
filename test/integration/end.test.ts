// Ctrl-C for a tree whose state-svc, which would have to stop the containers, never comes up.
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { stateContract } from '../../services/state-svc/contract.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, PROGRAM, packExample, type Tree } from '../kit/tree.ts';

const BROKEN = "console.error('a part of me is missing'); process.exit(7);\n";

describe('integration.end', () => {
  let tree: Tree | undefined;
  let program = '';
  afterEach(async () => {
    await tree?.close();
    rmSync(program, { recursive: true });
  });

  it('does not wait for a state-svc that ends at every start, says why, and fails', async () => {
    program = mkdtempSync(join(tmpdir(), 'berth-program-'));
    cpSync(PROGRAM, program, { recursive: true });
    chmodSync(program, 0o755);
    writeFileSync(join(program, 'state-svc.js'), BROKEN);
    const opened = await openTree(packExample('20-data-only'), program);
    tree = opened;
    opened.start();
    await eventually('the others', PATIENCE_MS, () => /ctl-svc ready/.test(opened.output()));
    const end = opened.endSupervisor('SIGINT');
    assert.equal(await end, 1);
    assert.match(opened.output(), /waiting up to 6 s for state-svc, which is to stop the containers/);
    const why = /containers could not be stopped: state-svc does not come up \(exited with 7: .*\); start Berth again/;
    assert.match(opened.output(), why);
    // Had it asked all the same, the request would have run into its deadline, a minute later.
    assert.doesNotMatch(opened.output(), new RegExp(`TIMEOUT|${stateContract.requests.stopAll.deadlineMs}`));
  });
});
