// When a figure is held to grow: a leak is found, noise is not, whatever it looks like.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { rulesOf } from '../../scripts/soak/figures.ts';
import { growthOf, type Point } from '../../scripts/soak/growth.ts';
import { dice } from '../kit/dice.ts';

const COUNTS = rulesOf('mounts');
const MEMORY = rulesOf('kB of lxc-svc');

type Shape = (cycle: number, draw: () => number) => number;

function points(cycles: number, seed: number, shape: Shape): readonly Point[] {
  const { draw } = dice(seed);
  return Array.from({ length: cycles }, (_, cycle) => ({ cycle, value: shape(cycle, draw) }));
}

/** Sum of twelve draws: near enough to a normal deviate. */
const normal = (draw: () => number): number => Array.from({ length: 12 }, draw).reduce((sum, value) => sum + value, -6);
const seeds = fc.nat(1_000_000);
/** Of a confidence of 99.9 % one noise in some thousand is the other one: the same ones every time. */
const SAME = { seed: 20_260_101 };
/** A run of the short form, one of an hour, and the long one. */
const LENGTHS = [14, 200, 1_000];

describe('soak.growth of counts', () => {
  it('finds one that leaks per cycle, in a short run, beside others that come and go', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(...LENGTHS), (seed, cycles) => {
        const leak = points(cycles, seed, (cycle, draw) => 40 + cycle + Math.floor(draw() * 2));
        assert.equal(growthOf(leak, COUNTS).leaks, true);
      }),
      SAME,
    );
  });

  it('finds one in ten cycles, given time', () => {
    const leak = points(200, 3, (cycle) => 40 + Math.floor(cycle / 10));
    assert.equal(growthOf(leak, COUNTS).leaks, true);
    assert.ok(Math.abs(growthOf(leak, COUNTS).slope - 0.1) < 0.02);
  });

  it('finds none where nothing moves, where all jumps about, and where there was a step at the beginning', () => {
    const shapes: readonly Shape[] = [
      () => 12,
      (_, draw) => 12 + Math.floor(draw() * 4),
      (cycle) => (cycle < 3 ? 10 : 14),
      (cycle) => 12 + (cycle % 4 === 3 ? 1 : 0),
    ];
    fc.assert(
      fc.property(seeds, fc.constantFrom(...LENGTHS), fc.constantFrom(...shapes), (seed, cycles, shape) => {
        assert.equal(growthOf(points(cycles, seed, shape), COUNTS).leaks, false);
      }),
      { ...SAME, numRuns: 300 },
    );
  });

  it('is of no opinion after a handful of cycles', () => {
    assert.equal(growthOf([], COUNTS).leaks, false);
    assert.equal(
      growthOf(
        points(6, 1, (cycle) => cycle),
        COUNTS,
      ).leaks,
      false,
    );
  });
});

describe('soak.growth of memory', () => {
  const NOISE_KB = 150;
  const noisy = (draw: () => number): number => NOISE_KB * normal(draw);
  /** What a collector lets grow by up to 1 MB and takes away, at no fixed time. */
  const sawtooth = (cycle: number, period: number): number => ((cycle % period) / period) * 1_000;
  /** 10 MB that a heap takes until it has settled. */
  const settling = (cycle: number): number => 10_000 * (1 - Math.exp(-cycle / 40));

  it('finds 20 kB per cycle under noise, in 200 cycles', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(200, 1_000), fc.integer({ min: 3, max: 12 }), (seed, cycles, period) => {
        const leak = points(cycles, seed, (cycle, draw) => 16_000 + 20 * cycle + noisy(draw) + sawtooth(cycle, period));
        assert.equal(growthOf(leak, MEMORY).leaks, true);
      }),
      SAME,
    );
  });

  it('finds what has settled at a multiple of what it was, and not what is a little more', () => {
    const settled = (kb: number) =>
      points(1_000, 5, (cycle, draw) => 17_000 + kb * (1 - Math.exp(-cycle / 100)) + noisy(draw));
    assert.equal(growthOf(settled(57_000), MEMORY).leaks, true);
    assert.equal(growthOf(settled(9_000), MEMORY).leaks, false);
  });

  it('finds nothing in noise, in what a collector does, and in a heap that settles', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(...LENGTHS), fc.integer({ min: 2, max: 12 }), (seed, cycles, period) => {
        const kept = points(cycles, seed, (cycle, draw) => 16_000 + noisy(draw) + sawtooth(cycle, period));
        assert.equal(growthOf(kept, MEMORY).leaks, false);
        if (cycles < 200) return;
        const settled = points(cycles, seed, (cycle, draw) => 16_000 + noisy(draw) + settling(cycle));
        assert.equal(growthOf(settled, MEMORY).leaks, false);
      }),
      { ...SAME, numRuns: 300 },
    );
  });
});
