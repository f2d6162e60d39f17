// Bench row of what one more running container costs Berth's own processes.
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { openTree, packExample } from '../../test/kit/tree.ts';
import { memoryMb, REST_MS, runOn, withOwnNode } from './alone.ts';
import { writeIdleSource } from './idle-containers.ts';
import type { Row } from './row.ts';

const FEW = 1;
const MANY = 20;

export async function containerMemoryRows(): Promise<Row[]> {
  const [few, many] = await withOwnNode(async (node) => [await restingMb(node, FEW), await restingMb(node, MANY)]);
  return [
    {
      ...{ name: 'memory for one more container, own processes (PSS)', unit: 'MB', value: (many - few) / (MANY - FEW) },
      ...{ better: 'lower', goal: '≤ 0.1 MB' },
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
      await delay(REST_MS);
      const found = memoryMb(tree.processes());
      await tree.endSupervisor('SIGINT');
      return found;
    } finally {
      await tree.close();
    }
  } finally {
    rmSync(source, { recursive: true, force: true });
  }
}
