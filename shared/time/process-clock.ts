// What a bundle has for `performance`: its clock, and nothing else of it.
import process from 'node:process';

/**
 * Milliseconds that never jump, as of CLOCK_MONOTONIC. Node's own counts from the start of the process, and the first to say `performance` loads
 * its histograms, observers and timings with it: 70 KB and 1.2 ms of CPU in each process.
 */
export const performance = {
  now(): number {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1_000 + nanoseconds / 1_000_000;
  },
};
