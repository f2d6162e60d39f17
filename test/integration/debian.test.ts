// Whole Debian systems as containers: minutes of debootstrap and 130 MB of downloads, so only when it is asked for.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';

const TIMEOUT_MS = 1_200_000;
const skip = process.env.BERTH_DEBIAN === '1' ? false : 'set BERTH_DEBIAN=1 to run it';

describe('integration.debian', () => {
  it('boots nginx and systemd, with addresses, a page between them, and their logs', { skip }, () => {
    const { status, stdout, stderr } = spawnSync('sh', ['scripts/debian-containers'], {
      cwd: join(import.meta.dirname, '../..'),
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
    });
    assert.equal(status, 0, stdout + stderr);
  });
});
