// What ipam-svc is told of a revision: its pools, the addresses that it fixes, and its interfaces; in parts where one message does not hold them.
import { Fault } from '../../shared/ipc/fault.ts';
import { pagesOf } from '../../shared/ipc/page.ts';
import type { Revision } from '../../shared/revision/revision.ts';
import type { InterfacesByPool, Pool } from '../../shared/schema/network.ts';
import type { Ask, Peers } from './peers.ts';

type Told = Pick<Revision, 'containers' | 'reservations'>;

/** Its answer; `'tooMuch'`: there is no way to tell it. */
export async function tellLeases(told: Told, pools: Pool[], { ipam }: Pick<Peers, 'ipam'>, ask: Ask) {
  const reservations = [...told.reservations];
  const interfaces = interfacesOf(told);
  const inOne = () => ipam.configure({ pools, reservations, interfaces });
  const inParts = async () => {
    const parts = partsOf(told, interfaces);
    // Told from those of whoever was interrupted, this service before its restart among them.
    const set = Math.floor(Math.random() * 2 ** 31);
    for (const [index, part] of parts.entries()) await ipam.prepare({ set, index, ...part });
    const answer = await ipam.configure({ pools, reservations: [], prepared: { set, count: parts.length } });
    // It has restarted meanwhile, and is to be told all of it again.
    if (!answer.ok && answer.error.code === 'PARTS_MISSING') throw new Fault('PEER_GONE', 'ipam-svc.configure');
    return answer;
  };
  for (const tell of [inOne, inParts]) {
    try {
      return await ask(tell);
    } catch (error) {
      if (!(error instanceof Fault && error.code === 'BAD_PARAMS')) throw error;
    }
  }
  return 'tooMuch';
}

/** Each fits a message. */
function partsOf({ reservations }: Told, interfaces: InterfacesByPool | undefined) {
  const rows = Object.entries(interfaces ?? {}).flatMap(([pool, its]) =>
    Object.entries(its).map(([holder, mac]) => [pool, holder, mac] as const),
  );
  return [
    ...pagesOf(reservations).map((page) => ({ reservations: page })),
    ...pagesOf(rows).map((page) => {
      const byPool: InterfacesByPool = {};
      for (const [pool, holder, mac] of page) byPool[pool] = Object.assign(byPool[pool] ?? {}, { [holder]: mac });
      return { reservations: [], interfaces: byPool };
    }),
  ];
}

/**
 * Those of other revisions keep no address and no MAC from what this one fixes. Where nothing is fixed they change nothing, and would be many.
 * Reservations of containers that it does not have are kept for a rollback.
 */
function interfacesOf({ containers, reservations }: Told): InterfacesByPool | undefined {
  const byPool: Record<string, Record<string, string | null>> = {};
  const add = (pool: string, container: string, name: string, mac: string | null): void => {
    byPool[pool] ??= {};
    byPool[pool][`${container}/${name}`] = mac;
  };
  const present = new Set(containers.map(({ name }) => name));
  // Also of containers that bring their addresses themselves.
  for (const { pool, container, interface: name } of reservations)
    if (present.has(container)) add(pool, container, name, null);
  let fixesAny = reservations.length > 0;
  for (const { name: container, network } of containers) {
    for (const { pool, interface: name, mac = null } of network.mode === 'pool' ? network.interfaces : []) {
      add(pool, container, name, mac);
      fixesAny ||= mac !== null;
    }
  }
  return fixesAny ? byPool : undefined;
}
