// Which bridges have our mark, noted beside the namespaces: one that loses it (`ip link set alias`) is still known for ours. By its number, which
// the kernel gives to no other link while the machine runs, and by its name.
//
//   {"boot":"…","marked":[{"linkIndex":7,"bridge":"pvbr0","alias":"berth:pool:internal"}]}
import * as z from 'zod/mini';
import { interfaceName } from '../../shared/schema/names.ts';
import { openBootList } from './boot-list.ts';
import { isBridgeAlias } from './link-names.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { changeLink, type Link } from './rtnetlink-link.ts';

const markedBridge = z.strictObject({ linkIndex: z.int(), bridge: interfaceName, alias: z.string() });
type MarkedBridge = z.infer<typeof markedBridge>;
type Known = Pick<Link, 'index' | 'name' | 'alias' | 'kind'>;

export interface MarkedBridges {
  /** The mark that the link lost; undefined where it has one of whomever, or never had ours. */
  lostBy(link: Known): string | undefined;
  /** Those of the links that have our mark, and no others. On file when this returns. Throws NetFailure. */
  keep(links: readonly Known[]): void;
  /** About to be somebody else's. On file when this returns. Throws NetFailure. */
  drop(link: Known): void;
}

const isOf =
  ({ index, name }: Known) =>
  ({ linkIndex, bridge }: MarkedBridge): boolean =>
    linkIndex === index && bridge === name;

/** `path` is a file of ours. */
export function openMarkedBridges(path: string): MarkedBridges {
  const marked = openBootList(path, 'marked', markedBridge, 'write down bridges of pools');
  const write = (wanted: readonly MarkedBridge[]): void => {
    if (JSON.stringify(wanted) !== JSON.stringify(marked.list())) marked.replace(wanted);
  };
  return {
    lostBy: (link) => (link.alias === '' && link.kind === 'bridge' ? marked.list().find(isOf(link))?.alias : undefined),
    keep(links) {
      const ours = links.filter(({ alias, kind }) => kind === 'bridge' && isBridgeAlias(alias));
      write(ours.map(({ index, name, alias }) => ({ linkIndex: index, bridge: name, alias })));
    },
    drop: (link) => write(marked.list().filter((known) => !isOf(link)(known))),
  };
}

/** Gives each of the links its mark back that lost it; answers all as they are then. Throws NetFailure. */
export function markAgain(host: NetlinkSocket, links: readonly Link[], marked: MarkedBridges): Link[] {
  return links.map((link) => {
    const alias = marked.lostBy(link);
    if (alias === undefined) return link;
    host.apply([{ step: `mark bridge ${link.name} again`, message: changeLink(link.index, { alias }) }]);
    return { ...link, alias };
  });
}
