// Bridges that containers bake into their LXC configuration and that nobody makes: Berth makes those of its pools, and no other
// (Pantavisor makes one on every start).
import type { Pool } from '../schema/network.ts';
import type { ReadContainer } from './container-plan.ts';
import { DEFAULT_POOL, DEFAULT_POOL_NAME } from './default-pool.ts';
import type { Problem } from './revision.ts';

/** Whether the machine that is to run it has a network interface of that name. */
export type HasLink = (name: string) => boolean;

/** Code: LINK_IN_NO_POOL. One for each bridge of a container. */
export function linkWarnings(
  containers: readonly Pick<ReadContainer, 'name' | 'links'>[],
  pools: readonly Pool[],
  hasLink: HasLink,
): readonly Problem[] {
  const made = new Set(pools.flatMap(({ type, bridge }) => (type === 'bridge' ? [bridge] : [])));
  return containers.flatMap(({ name, links }) => {
    const missing = new Map(
      links.filter(({ link }) => !made.has(link) && !hasLink(link)).map((each) => [each.link, each]),
    );
    return [...missing.values()].map(({ link, source, line }) => ({
      path: `${source}:${line}`,
      code: 'LINK_IN_NO_POOL',
      message: `'${name}' is put into bridge '${link}', which no pool has: Berth makes none for it, and where it is missing the container does not start; add to network.pools of device.json ${poolFor(link)}`,
    }));
  });
}

function poolFor(bridge: string): string {
  if (bridge === DEFAULT_POOL.bridge) return `"${DEFAULT_POOL_NAME}": ${JSON.stringify(DEFAULT_POOL)}`;
  return `a pool with "bridge": ${JSON.stringify(bridge)} and the subnet and gateway of its addresses`;
}
