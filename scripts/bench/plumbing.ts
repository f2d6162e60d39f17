// Bench rows of net-svc: plumbing one container, beside ten forked `ip` commands that do the same in the same run.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import * as z from 'zod/mini';
import { median, type Row } from './row.ts';

const TIMEOUT_MS = 60_000;

/** Milliseconds, one figure a container. */
export const plumbingTimes = z.strictObject({
  attach: z.array(z.number()),
  forked: z.array(z.number()),
  again: z.array(z.number()),
  detach: z.array(z.number()),
  attach200: z.array(z.number()),
  detach200: z.array(z.number()),
  detach1: z.array(z.number()),
  reconcile200: z.array(z.number()),
  reconcileLinks200: z.array(z.number()),
});

export async function plumbingRows(): Promise<Row[]> {
  const { stdout } = await promisify(execFile)(
    'unshare',
    [
      '--mount',
      '--net',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      '--propagation',
      'private',
      'sh',
      '-c',
      'mount -t tmpfs berth-bench /run && mkdir /run/netns && "$@"',
      'sh',
      process.execPath,
      '--import',
      'tsx',
      join(import.meta.dirname, 'plumbing-rounds.ts'),
    ],
    { timeout: TIMEOUT_MS, cwd: join(import.meta.dirname, '..', '..') },
  );
  const { attach, forked, again, detach, ...many } = plumbingTimes.parse(JSON.parse(stdout));
  return [
    {
      name: 'plumbing one container',
      unit: 'ms',
      value: median(attach),
      baseline: { name: 'ten forked ip', value: median(forked) },
      better: 'lower',
      goal: '≤ 1.5 ms',
    },
    { name: 'finding one container plumbed', unit: 'ms', value: median(again), better: 'lower' },
    { name: 'unplumbing one container alone', unit: 'ms', value: median(many.detach1), better: 'lower' },
    { name: 'unplumbing one of 20 containers together', unit: 'ms', value: median(detach), better: 'lower' },
    {
      name: 'plumbing 200 containers, each',
      unit: 'ms',
      value: median(many.attach200),
      baseline: { name: 'ten forked ip', value: median(forked) },
      better: 'lower',
      goal: '≤ 1.5 ms',
    },
    { name: 'unplumbing 200 containers together, each', unit: 'ms', value: median(many.detach200), better: 'lower' },
    {
      name: 'reconciling 200 containers where nothing is wrong, rules too',
      unit: 'ms',
      value: median(many.reconcile200),
      better: 'lower',
      goal: '≤ 50 ms',
    },
    {
      name: 'reconciling the links of 200 containers where nothing is wrong',
      unit: 'ms',
      value: median(many.reconcileLinks200),
      better: 'lower',
    },
  ];
}
