// Bench row of what one more running container costs Berth's own processes.
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { openTree, packExample } from '../../test/kit/tree.ts';
import { memoryMb, runOn, withOwnNode } from './alone.ts';
import { writeIdleSource } from './idle-containers.ts';
import type { Row } from './row.ts';

/** Both trees have done everything that a start and a running container need: what code and its first use take is in both, and not in the row. */
const FEW = 5;
const MANY = 25;
/** The last service to come to rest after so many starts gives back what they took. */
const SETTLED_MS = 35_000;
/** Over the time from one young collection to the next (shared/service/rest.ts), in which garbage gathers. */
const READINGS = 6;
const READING_MS = 5_000;

export async function containerMemoryRows(): Promise<Row[]> {
  const [few, many] = await withOwnNode(async (node) => [await restingMb(node, FEW), await restingMb(node, MANY)]);
  return [
    {
      name: 'memory for one more container, own processes (PSS)',
      unit: 'MB',
      value: (many - few) / (MANY - FEW),
      better: 'lower',
      goal: '≤ 0.1 MB',
    },
  ];
}

async function restingMb(node: string, count: number): Promise<number> {
  const source = writeIdleSource(count);
  try {
    const tree = await openTree(packExample(source));
    try {
      runOn(tree, node);
      tree.start();
      await tree.up();
      await delay(SETTLED_MS);
      const found = await averageMb(tree.processes());
      await tree.endSupervisor('SIGINT');
      return found;
    } finally {
      await tree.close();
    }
  } finally {
    rmSync(source, { recursive: true, force: true });
  }
}

async function averageMb(pids: readonly number[]): Promise<number> {
  let sum = 0;
  for (let reading = 0; reading < READINGS; reading += 1) {
    if (reading > 0) await delay(READING_MS);
    sum += memoryMb(pids);
  }
  return sum / READINGS;
}
