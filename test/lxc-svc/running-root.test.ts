// Places of a running container where descriptors run out: none is lost on the way.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { runningRoot } from '../../services/lxc-svc/running-root.ts';
import { openRoot } from '../../shared/kernel/open-inside.ts';

/** More than are open here, few enough to open them all. */
const MAX_DESCRIPTORS = 256;

describe('lxc-svc.runningRoot', () => {
  let folder: string;
  let rootFd: number;
  before(() => {
    // Nothing of it is on a disk: all is known at once.
    folder = mkdtempSync('/dev/shm/berth-running-root-');
    writeFileSync(join(folder, 'file'), '');
    rootFd = openRoot(folder);
    execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${MAX_DESCRIPTORS}:`]);
  });
  after(() => {
    closeSync(rootFd);
    rmSync(folder, { recursive: true });
  });

  /** With so many descriptors left to be opened. */
  const withLeft = (left: number, act: () => void): void => {
    const taken: number[] = [];
    try {
      for (;;) taken.push(openSync('/dev/null', 'r'));
    } catch (error) {
      assert.match(String(error), /EMFILE/);
    }
    for (const fd of taken.splice(0, left)) closeSync(fd);
    try {
      act();
    } finally {
      for (const fd of taken) closeSync(fd);
    }
  };

  it('leaves nothing open where it cannot be told what mount a place is in', () => {
    const root = runningRoot({ rootFd, pid: process.pid, findOnHost: () => undefined, isOpenIn: () => true });
    const open = readdirSync('/proc/self/fd').length;
    // One for the place, none to read of it.
    withLeft(1, () => assert.throws(() => root('/file'), /EMFILE/));
    assert.equal(readdirSync('/proc/self/fd').length, open);
    const place = root('/file') ?? assert.fail('it is there');
    closeSync(place);
  });
});
