// Settings of `berth run` that are passed on to services.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseRunOptions, settingsArguments } from '../../scripts/berth/run-options.ts';
import { createScratch, type Scratch } from './program.ts';

let scratch: Scratch;
before(() => {
  scratch = createScratch();
  mkdirSync(join(scratch.folder, 'trails'));
});
after(() => scratch.remove());

const parse = (...args: string[]) => parseRunOptions(['--storage', scratch.folder, ...args]);

describe('berth run settings', () => {
  it('leave services to their defaults when nothing is said', () => {
    const options = parse();
    assert.ok(!('wrong' in options));
    assert.deepEqual(options.settings, { poolOverlap: undefined, leaseHoldSeconds: undefined, natBackends: undefined });
    assert.deepEqual(settingsArguments(options.settings), []);
  });

  it('are the same after the way into a sandbox', () => {
    for (const [nat, natBackends] of [
      ['iptables', ['iptables']],
      ['none', []],
    ] as const) {
      const options = parse('--pool-overlap', 'warning', '--lease-hold', '0', '--nat', nat);
      assert.ok(!('wrong' in options));
      assert.deepEqual(options.settings, { poolOverlap: 'warning', leaseHoldSeconds: 0, natBackends });
      const inside = parse(...settingsArguments(options.settings));
      assert.deepEqual(inside, options);
    }
  });

  it('are refused when they are no values', () => {
    for (const [args, message] of [
      [['--pool-overlap', 'maybe'], /--pool-overlap maybe: must be error or warning/],
      [['--lease-hold', '1d'], /--lease-hold 1d: must be a number of seconds/],
      [['--nat', 'pf'], /--nat pf: must be nftables, iptables or none/],
    ] as const) {
      const options = parse(...args);
      assert.ok('wrong' in options);
      assert.match(options.wrong, message);
    }
  });
});
