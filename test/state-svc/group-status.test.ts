import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { commonStatus, goalMet } from '../../services/state-svc/group-status.ts';
import { STATUSES } from '../../shared/schema/api.ts';

const member = fc.record({
  status: fc.constantFrom(...STATUSES),
  goal: fc.constantFrom('MOUNTED' as const, 'STARTED' as const, 'READY' as const),
});

describe('group status', () => {
  it('is READY without members, and with members that met their goals', () => {
    assert.equal(commonStatus([]), 'READY');
    assert.equal(
      commonStatus([
        { status: 'MOUNTED', goal: 'MOUNTED' },
        { status: 'STARTED', goal: 'STARTED' },
      ]),
      'READY',
    );
  });

  it('is the lowest status among the members that missed their goal, not among all', () => {
    const members = [
      { status: 'MOUNTED', goal: 'MOUNTED' },
      { status: 'STARTED', goal: 'READY' },
      { status: 'STOPPED', goal: 'STARTED' },
    ] as const;
    assert.equal(commonStatus(members), 'STARTED');
  });

  it('is READY exactly when every goal is met', () => {
    fc.assert(
      fc.property(fc.array(member), (members) => {
        assert.equal(commonStatus(members) === 'READY', members.every(goalMet));
      }),
    );
  });
});
