// Which addresses bridges of others have from us: what is on file of it, and that it is what they have.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ensureBridges } from '../../services/net-svc/bridges.ts';
import { type LentAddresses, openLentAddresses } from '../../services/net-svc/lent-addresses.ts';
import { NetFailure, undoingOnFailure } from '../../services/net-svc/net-failure.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { NO_NOTES } from './bare-host.ts';
import { addresses, internal, lab, link, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const [FIRST, SECOND] = [
  { linkIndex: 7, address: '10.0.3.1', prefixLength: 24 },
  { linkIndex: 8, address: '10.0.3.1', prefixLength: 24 },
];

describe('net-svc.lentAddresses', () => {
  let folder: string;
  let path: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-lent-'));
    path = join(folder, '.lent');
  });
  after(() => rmSync(folder, { recursive: true }));

  it('are on file once each, as long as one is left', () => {
    const lent = openLentAddresses(path);
    for (const address of [FIRST, SECOND, FIRST]) lent.add(address);
    assert.deepEqual(openLentAddresses(path).list(), [FIRST, SECOND]);
    lent.drop(FIRST);
    assert.deepEqual(openLentAddresses(path).list(), [SECOND]);
    lent.drop(SECOND);
    assert.ok(!existsSync(path));
  });

  it('are those of this boot, and of a file that can be understood', () => {
    openLentAddresses(path).add(FIRST);
    const { boot, ...rest } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ boot, ...rest }));
    assert.deepEqual(openLentAddresses(path).list(), [FIRST]);
    for (const text of [JSON.stringify({ boot: 'another', ...rest }), '{', '']) {
      writeFileSync(path, text);
      assert.deepEqual(openLentAddresses(path).list(), []);
    }
  });

  /** Somebody interferes when the second one is noted. */
  const failing = (interfere: () => void): NetFailure => {
    const own = openLentAddresses(path);
    const lent: LentAddresses = {
      ...own,
      add(address) {
        if (own.list().length > 0) interfere();
        own.add(address);
      },
    };
    const pools = [
      { ...internal, bridge: 'theirs0' },
      { ...lab, bridge: 'theirs1' },
    ];
    try {
      undoingOnFailure((undo) => ensureBridges(pools, undo, { ...NO_NOTES, lent }));
    } catch (error) {
      assert.ok(error instanceof NetFailure);
      return error;
    }
    return assert.fail('nothing failed');
  };

  for (const [what, interfere, reason] of [
    ['they were given and another one could not be', () => run(['ip', 'link', 'del', 'theirs1']), /ENODEV/],
    [
      'one that was to come later could not be noted',
      () => {
        throw new NetFailure('write down', 'the disk is full');
      },
      /^the disk is full$/,
    ],
  ] as const) {
    it(`are none any more where ${what}`, () => {
      for (const name of ['theirs0', 'theirs1']) run(['ip', 'link', 'add', name, 'type', 'bridge']);
      try {
        const failure = failing(interfere);
        assert.match(failure.reason, reason);
        assert.doesNotMatch(failure.reason, /not undone/);
        assert.deepEqual(addresses('theirs0'), []);
        assert.ok(!existsSync(path));
      } finally {
        for (const name of ['theirs0', 'theirs1']) if (link(name) !== undefined) run(['ip', 'link', 'del', name]);
      }
    });
  }
});
