// What a service that was taken over can ask of the others: a ctl-svc with other code, as its own process, behind the real broker.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { build } from 'esbuild';
import * as z from 'zod/mini';
import { bundleOptions, ROOT } from '../../scripts/bundles.ts';
import { ALL_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, PROGRAM, packExample, type Tree } from '../kit/tree.ts';

const report = z.strictObject({
  requests: z.record(z.string(), z.string()),
  reached: z.record(z.string(), z.string()),
});

describe('hostile.taken-over', () => {
  let tree: Tree | undefined;
  let program = '';
  let found: z.output<typeof report>;
  before(async () => {
    program = mkdtempSync(join(tmpdir(), 'berth-program-'));
    cpSync(PROGRAM, program, { recursive: true });
    chmodSync(program, 0o755);
    const options = await bundleOptions();
    // Of the same contracts: otherwise the broker would not talk to it at all.
    await build({
      ...options,
      entryPoints: { 'ctl-svc': join(ROOT, 'test/hostile/patched-ctl-svc.ts') },
      outdir: program,
    });
    chmodSync(join(program, 'ctl-svc.js'), 0o644);
    const opened = await openTree(packExample('20-data-only'), program);
    tree = opened;
    opened.start();
    // Its answers are none of the API's.
    const asked = ['-s', '--max-time', '20', '--unix-socket', opened.socket, 'http://localhost/'];
    found = await eventually('what it reached', PATIENCE_MS, () => {
      const { status, stdout } = spawnSync('curl', asked, { encoding: 'utf8' });
      return status === 0 ? report.parse(JSON.parse(stdout)) : undefined;
    });
  });
  after(async () => {
    await tree?.close();
    rmSync(program, { recursive: true });
  });

  it('is DENIED every request of every contract but those that name it as a caller', () => {
    const expected = ALL_CONTRACTS.flatMap(({ service, requests }) =>
      Object.entries(requests).map(
        ([name, { callers }]) => [`${service}.${name}`, callers.includes('ctl-svc')] as const,
      ),
    );
    assert.deepEqual(Object.keys(found.requests).sort(), expected.map(([name]) => name).sort());
    const denied = Object.entries(found.requests).flatMap(([name, outcome]) => (outcome === 'DENIED' ? [name] : []));
    const mustBe = expected.flatMap(([name, mayCall]) => (mayCall ? [] : [name]));
    assert.deepEqual(denied.sort(), mustBe.sort());
    assert.ok(denied.length > 20, `${denied.length} denied`);
    // What it may ask is parsed before it is looked at.
    for (const [name, outcome] of Object.entries(found.requests)) assert.match(outcome, /^(DENIED|BAD_PARAMS)$/, name);
  });

  it('is heard by nobody when it says what another service says', async () => {
    const events = ALL_CONTRACTS.flatMap(({ service, events: said }) =>
      Object.keys(said).map((name) => `${service}.${name}`),
    );
    for (const name of events) {
      const line = `denied: ctl-svc may not publish ${name}`;
      await eventually(line, PATIENCE_MS, () => tree?.readLog('pantavisor/pantavisor.log').includes(line));
    }
  });

  it('reads and writes what its contract names, starts nothing, and ends nobody', () => {
    const { reached } = found;
    assert.deepEqual(
      Object.entries(reached).filter(([, outcome]) => outcome === 'done'),
      [],
      JSON.stringify(reached),
    );
  });
});
