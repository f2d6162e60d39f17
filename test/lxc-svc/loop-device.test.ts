// Through which device an image is written to that somebody has attached already.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { attachForWriting } from '../../shared/kernel/loop-device.ts';

describe('kernel.attachForWriting', () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-loop-'));
    file = join(folder, 'image');
    writeFileSync(file, Buffer.alloc(64 * 1024));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Where it is written to while somebody else has it like this. */
  const besides = (...options: readonly string[]): { readonly theirs: string; readonly ours: string } => {
    const theirs = execFileSync('losetup', ['--find', '--show', ...options, file], { encoding: 'utf8' }).trim();
    try {
      const device = attachForWriting(file);
      device.close();
      return { theirs, ours: device.path };
    } finally {
      execFileSync('losetup', ['--detach', theirs]);
    }
  };

  it('takes the one that writes to all of it', () => {
    const { theirs, ours } = besides();
    assert.equal(ours, theirs);
  });

  for (const options of [['--read-only'], ['--offset=4096'], ['--sizelimit=4096']]) {
    it(`takes none that was made with ${options.join(' ')}`, () => {
      const { theirs, ours } = besides(...options);
      assert.notEqual(ours, theirs);
    });
  }
});
