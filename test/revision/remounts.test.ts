// `remount` of device.json and run.json: what of it is planned, and what is told of the rest.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { container, DEVICE, revisionOf, state, warnings } from './states.ts';

const CONFIG = { 'app/lxc.container.conf': 'lxc.mount.entry = tmpfs run tmpfs rw 0 0\n' };

function planned(remount: unknown, ofDevice?: unknown) {
  const device = ofDevice === undefined ? DEVICE : { ...DEVICE, remount: ofDevice };
  const written = state({ 'device.json': device }, container('app', { remount }));
  const { containers, ignored } = revisionOf(written, CONFIG);
  assert.deepEqual(ignored, []);
  return { remounts: containers[0]?.remounts, warnings: warnings(written, CONFIG) };
}

describe('remount', () => {
  it('is the device’s, then the container’s, of all policies', () => {
    const found = planned(
      { default: [{ '/': 'nosuid' }], field: [{ '/run/?': 'bind,remount,noexec,nodev' }] },
      { default: [{ '/media/.*': 'ro' }] },
    );
    assert.deepEqual(found, {
      remounts: [
        { policy: 'default', place: '/media/.*', options: ['ro'] },
        { policy: 'default', place: '/', options: ['nosuid'] },
        { policy: 'field', place: '/run/?', options: ['noexec', 'nodev'] },
      ],
      warnings: [],
    });
    assert.deepEqual(revisionOf(state(container('app'))).containers[0]?.remounts, []);
  });

  it('is followed but for what cannot be, which is told', () => {
    const rules = [{ '/(': 'ro' }, { '/run': 'ro,size=1m' }, { '/proc': 'ro' }, { '/run': 'x-what' }];
    const { remounts, warnings: told } = planned({ default: rules });
    assert.deepEqual(remounts, [
      { policy: 'default', place: '/run', options: ['ro'] },
      { policy: 'default', place: '/proc', options: ['ro'] },
    ]);
    assert.deepEqual(told, Array(4).fill('app/run.json.remount.default NOT_SUPPORTED'));
  });

  it('of another shape, or too much of it, refuses nothing', () => {
    for (const shape of [1, [], { '/': 'ro' }, { default: { '/': 'ro' } }]) {
      assert.deepEqual(planned(shape).warnings.length, 1, JSON.stringify(shape));
    }
    const many = planned({ default: Array(40).fill({ '/run': 'ro' }) });
    assert.deepEqual([many.remounts?.length, many.warnings.length], [32, 8]);
    const costly = planned(undefined, { default: Array(4).fill({ '/x{60}': 'ro' }) });
    assert.deepEqual([costly.remounts?.length, costly.warnings.length], [2, 2]);
  });
});
