// The short form of the hardware tests on an emulated machine: init starts the tree, the power goes while an address is given back and
// allocated again, and all that was promised is there at the next boot. BERTH_HW_VM=1 makes it five cuts, BERTH_HW_VM=0 none.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';
import { cutsIn, ended, hw, startProgram } from './hw.ts';

const IS_LONG = process.env.BERTH_HW_VM === '1';
/** It boots in half a minute; on a machine that is busy with other things in many. One cut and the image took five there. */
const VM_MS = (IS_LONG ? 18 : 10) * 60_000;
/** What hw-tests/vm/build-image ends with where Debian's packages cannot be had (sysexits.h, EX_UNAVAILABLE). */
const UNAVAILABLE = 69;
const CUTS = IS_LONG ? ['--cuts', '5'] : ['--cuts', '1', '--during', 'allocation'];
const SEED = '175';

/** What is missing for an emulated machine. */
function lacking(): string | undefined {
  if (process.env.BERTH_HW_VM === '0') return 'BERTH_HW_VM=0 leaves it out';
  if (process.arch !== 'x64') return `the virtual device is an x86-64 one, and this machine is ${process.arch}`;
  if (process.getuid?.() !== 0) return 'only root puts its image together';
  const missing = ['qemu-system-x86_64', 'apt-get', 'dpkg-deb', 'ssh', 'ssh-keygen'].filter(
    (name) => !(process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name))),
  );
  return missing.length === 0 ? undefined : `${missing.join(', ')} not installed`;
}

describe('hw.emulated', () => {
  it('keeps its word over power cuts of a machine that init started it on', { timeout: VM_MS }, async (test) => {
    const lacks = lacking();
    if (lacks !== undefined) return test.skip(lacks);
    const image = await ended(startProgram('hw-tests/vm/build-image', []));
    if (image.status === UNAVAILABLE)
      return test.skip(/Debian's packages .*/s.exec(image.output)?.[0].replaceAll('\n', ' '));
    assert.equal(image.status, 0, image.output);
    for (const line of image.output.split('\n').filter((each) => each.startsWith('built'))) test.diagnostic(line);
    const { status, output } = await hw('--target', 'vm', '--seed', SEED, ...CUTS, '090');
    for (const line of cutsIn(output)) test.diagnostic(line);
    assert.equal(status, 0, output);
    assert.doesNotMatch(output, /^. skipped [1-9]/m);
  });
});
