// mdev.json of a container.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { container, DIGEST, revisionOf, state, warnings } from './states.ts';

const devices = (mdev: unknown, config = '') => {
  const written = state(container('app'), { 'app/mdev.json': mdev });
  const files = { 'app/lxc.container.conf': config };
  const { containers, ignored } = revisionOf(written, files);
  return { rules: containers[0]?.deviceRules, warnings: warnings(written, files), ignored };
};

describe('mdev.json', () => {
  it('is what a container gets its device nodes by, and nothing without it', () => {
    const found = devices({ rules: ['ttyS0 0:5 620', '.* 0:0 666'] });
    assert.deepEqual(found, { rules: ['ttyS0 0:5 620', '.* 0:0 666'], warnings: [], ignored: [] });
    assert.equal(revisionOf(state(container('app'))).containers[0]?.deviceRules, undefined);
    assert.deepEqual(devices({}).rules, []);
  });

  it('warns of rules that cannot be read, and leaves them out', () => {
    const { rules, warnings: told } = devices({ rules: ['(x 0:0 660', 'sda 0:0 660 @mount', 'x 0:0 660'] });
    assert.deepEqual(rules, ['sda 0:0 660 @mount', 'x 0:0 660']);
    assert.deepEqual(told, ['app/mdev.json.rules[0] NOT_SUPPORTED', 'app/mdev.json.rules[1] NOT_SUPPORTED']);
  });

  it('warns of another shape, of an object, and of too many rules', () => {
    assert.deepEqual(devices({ rules: [1] }).warnings, ['app/mdev.json.rules.0 BAD_TYPE']);
    assert.deepEqual(devices([]).warnings, ['app/mdev.json BAD_TYPE']);
    assert.deepEqual(devices(DIGEST), { rules: undefined, warnings: ['app/mdev.json BAD_TYPE'], ignored: [] });
    const costly = devices({ rules: Array(64).fill('x{200} 0:0 660') });
    assert.deepEqual([costly.rules?.length, costly.warnings.length], [20, 44]);
    assert.deepEqual(devices({ rules: Array(65).fill('x 0:0 660') }).warnings, ['app/mdev.json.rules BAD_VALUE']);
  });

  it('warns where the container’s /dev cannot be given nodes', () => {
    const lines = ['lxc.autodev = 0', 'lxc.mount.entry = /dev dev none bind 0 0'];
    for (const line of lines) {
      const found = devices({ rules: ['.* 0:0 666'] }, `${line}\n`);
      assert.deepEqual([found.rules, found.warnings], [undefined, ['app/mdev.json NOT_SUPPORTED']], line);
    }
  });
});
