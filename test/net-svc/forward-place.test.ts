import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runInNewContext } from 'node:vm';
import { forwardPlace } from '../../services/net-svc/forward-place.ts';
import { BY_HAND, DOCKER, DOCKER_28, UFW, UFW_REJECT } from './rule-sets.ts';

const OURS = 'BERTH-FORWARD';
const indexIn = (saved: string): number => forwardPlace(saved, OURS).index;
/** Of chains A and B and these rules. */
const place = (...rules: readonly string[]) =>
  forwardPlace([':FORWARD DROP [0:0]', ':A - [0:0]', ':B - [0:0]', `:${OURS} - [0:0]`, ...rules].join('\n'), OURS);

describe('the place in a FORWARD chain', () => {
  it('is behind all that decides, and before what refuses the rest or only logs it', () => {
    assert.equal(indexIn(DOCKER), 6);
    assert.equal(indexIn(DOCKER_28), 2);
    assert.equal(indexIn(UFW), 2);
    assert.equal(indexIn(UFW_REJECT), 2);
    assert.equal(indexIn(BY_HAND), 1);
    assert.equal(indexIn(''), 0);
  });

  it('is not behind a chain that lets everything go on', () => {
    const onward = [
      '-A FORWARD -j A',
      '-A A -i eth0 -j B',
      '-A A -j RETURN',
      '-A B -m limit --limit 3/min -j LOG',
      '-A B -j RETURN',
    ];
    assert.equal(place(...onward).index, 0);
    assert.equal(place(...onward, '-A B -s 192.0.2.9/32 -j DROP').index, 1);
  });

  it('is taken by one jump that stands there', () => {
    const theirs = ['-A FORWARD -d 192.0.2.9/32 -j DROP', '-A FORWARD -d 192.0.2.8/32 -j DROP'] as const;
    const jump = `-A FORWARD -j ${OURS}`;
    assert.deepEqual(place(...theirs), { index: 2, isLast: true, isShut: false, isTaken: false, droppingBefore: '' });
    assert.ok(place(...theirs, jump).isTaken);
    assert.ok(!place(theirs[0], jump, theirs[1]).isTaken);
    assert.ok(!place(...theirs, jump, jump).isTaken);
    assert.deepEqual(place(theirs[0], jump, '-A FORWARD -j DROP'), {
      index: 1,
      isLast: false,
      isShut: true,
      isTaken: true,
      droppingBefore: '',
    });
  });

  it('is in a chain that is shut, unless all is let through before', () => {
    assert.ok(place('-A FORWARD -j DROP').isShut);
    assert.ok(place('-A FORWARD -s 192.0.2.9/32 -j ACCEPT', '-A FORWARD -j A', '-A A -j REJECT').isShut);
    assert.ok(!place('-A FORWARD -i eth0 -j DROP').isShut);
    for (const open of ['ACCEPT', 'RETURN']) {
      assert.ok(!place(`-A FORWARD -j ${open}`, '-A FORWARD -j DROP').isShut);
      const dropping = ['-A FORWARD -j A', '-A A -s 192.0.2.9/32 -j ACCEPT', '-A A -j DROP'];
      assert.equal(place(`-A FORWARD -j ${open}`, ...dropping).droppingBefore, '');
      assert.equal(place(...dropping, `-A FORWARD -j ${open}`).droppingBefore, 'A');
    }
  });

  it('is found in one pass over however many rules', () => {
    const rules = '-A FORWARD -s 192.0.2.9/32 -j DROP\n'.repeat(300_000);
    const find = () => place(rules);
    // A context of its own can be ended in the middle. This takes a second at most.
    assert.equal(runInNewContext('find()', { find }, { timeout: 20_000 }).index, 300_000);
  });

  it('is found however often chains lead to one another, and however deep', () => {
    const ladder = (rungs: number, jumps: number, last: string): string => {
      const rules = Array.from({ length: rungs }, (_, rung) => `-A C${rung} -j C${rung + 1}\n`.repeat(jumps));
      return `-A FORWARD -j C0\n${rules.join('')}-A C${rungs} ${last}`;
    };
    const crafted = [
      ['-j LOG', { index: 0, droppingBefore: '' }],
      ['-s 192.0.2.9/32 -j DROP', { index: 1, droppingBefore: '' }],
      ['-s 192.0.2.9/32 -j ACCEPT\n-A C15 -j DROP', { index: 1, droppingBefore: 'C0' }],
    ] as const;
    for (const [last, expected] of crafted) {
      const find = () => place(ladder(15, 100, last));
      const { index, droppingBefore } = runInNewContext('find()', { find }, { timeout: 20_000 });
      assert.deepEqual({ index, droppingBefore }, expected);
    }
    assert.equal(place(ladder(50_000, 1, '-s 192.0.2.9/32 -j DROP')).index, 1);
  });

  it('names a chain before it that drops what it does not accept', () => {
    const jump = '-A FORWARD -j A';
    const accepts = '-A A -s 192.0.2.0/24 -j ACCEPT';
    assert.equal(place(jump, accepts, '-A A -j DROP').droppingBefore, 'A');
    assert.equal(place(jump, accepts, '-A A -j B', '-A B -j LOG', '-A B -j REJECT').droppingBefore, 'A');
    assert.equal(place(jump, accepts, '-A A -j RETURN', '-A A -j DROP').droppingBefore, '');
    assert.equal(place(jump, accepts, '-A A -i eth0 -j DROP').droppingBefore, '');
    assert.equal(place('-A FORWARD -i eth0 -j A', accepts, '-A A -j DROP').droppingBefore, '');
  });
});
