import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createFairTurns, type TurnClock } from '../../services/ctl-svc/fair-turns.ts';

/** Runs turns when told to, and time passes only then. */
function turnsByHand(): { clock: TurnClock; run: () => boolean } {
  const due: (() => void)[] = [];
  let nowMs = 0;
  return {
    clock: {
      now: () => nowMs,
      next: (run) => due.push(run),
      after: (run, ms) =>
        due.push(() => {
          nowMs += ms;
          run();
        }),
    },
    run() {
      assert.ok(due.length <= 1, 'two turns at a time');
      const turn = due.shift();
      turn?.();
      return turn !== undefined;
    },
  };
}

const unbounded = { perSecond: 1e9, burst: 1e9 };

describe('ctl-svc fair turns', () => {
  it('run every step once, those of a party in its order, no more in a turn than may be, and none of a party twice while another waits', () => {
    const asked = fc.array(fc.nat({ max: 4 }), { maxLength: 60 });
    fc.assert(
      fc.property(asked, asked, fc.integer({ min: 1, max: 6 }), (before, later, perTurn) => {
        const { clock, run } = turnsByHand();
        const turns = createFairTurns({ perTurn, ...unbounded }, clock);
        const parties = Array.from({ length: 5 }, () => turns.party());
        const open = parties.map((): number[] => []);
        let number = 0;
        let inTurn = 0;
        const passedOver = new Map<number, Set<number>>();
        const ask = (party: number): void => {
          const mine = number++;
          open[party]?.push(mine);
          parties[party]?.(() => {
            inTurn += 1;
            assert.equal(open[party]?.shift(), mine);
            for (const [other, seen] of passedOver) {
              if (other === party || open[other]?.length === 0) continue;
              assert.ok(!seen.has(party), `party ${party} had two steps while ${other} waited`);
              seen.add(party);
            }
            passedOver.set(party, new Set());
          });
          if (!passedOver.has(party)) passedOver.set(party, new Set());
        };
        for (const party of before) ask(party);
        let left = [...later];
        for (;;) {
          inTurn = 0;
          const ran = run();
          assert.ok(inTurn <= perTurn);
          if (!ran && left.length === 0) break;
          for (const party of left.slice(0, 3)) {
            // Whoever did not wait begins anew.
            if (open[party]?.length === 0) passedOver.set(party, new Set());
            ask(party);
          }
          left = left.slice(3);
        }
        assert.deepEqual(open.flat(), []);
      }),
    );
  });

  it('let a step ask for the next one', () => {
    const { clock, run } = turnsByHand();
    const ask = createFairTurns({ perTurn: 2, ...unbounded }, clock).party();
    let steps = 0;
    const step = (): void => {
      steps += 1;
      if (steps < 5) ask(step);
    };
    ask(step);
    let turns = 0;
    while (run()) turns += 1;
    assert.deepEqual([steps, turns], [5, 3]);
  });

  it('are bounded in the long run, beyond the first burst, and none is lost', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 50, max: 5_000 }),
        fc.integer({ min: 1, max: 50 }),
        (perTurn, perSecond, burst) => {
          const { clock, run } = turnsByHand();
          const ask = createFairTurns({ perTurn, perSecond, burst }, clock).party();
          let steps = 0;
          const step = (): void => {
            steps += 1;
          };
          for (let index = 0; index < 200; index += 1) ask(step);
          while (run())
            assert.ok(steps <= burst + (clock.now() / 1000) * perSecond + 1e-6, `${steps} after ${clock.now()} ms`);
          assert.equal(steps, 200);
        },
      ),
    );
  });
});
