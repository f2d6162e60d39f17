// Bridges into which a container's own `lxc.net.*` lines put its interfaces: LXC does not start it where one is missing. Pure.
import type { LxcEntry } from './entry.ts';

export interface BakedLink {
  readonly link: string;
  /** Of the line that names it. */
  readonly line: number;
  readonly source: string;
}

const NET_KEY = /^lxc\.net(?:\.(\d+))?(?:\.(type|link))?$/;

/**
 * Of `lxc.net.N.link` beside `lxc.net.N.type = veth`; other types have a link that nobody makes for a container. What is empty takes
 * back what came before: `lxc.net` all interfaces, `lxc.net.N` that one.
 */
export function bakedLinks(entries: readonly LxcEntry[]): readonly BakedLink[] {
  const types = new Map<string, string>();
  const links = new Map<string, BakedLink>();
  for (const { key, value, line, source } of entries) {
    const [isNet, index, what] = NET_KEY.exec(key) ?? [];
    if (isNet === undefined) continue;
    if (index === undefined) {
      types.clear();
      links.clear();
    } else if (what === undefined) {
      types.delete(index);
      links.delete(index);
    } else if (what === 'type') types.set(index, value);
    else if (value === '') links.delete(index);
    else links.set(index, { link: value, line, source });
  }
  return [...links].flatMap(([index, link]) => (types.get(index) === 'veth' ? [link] : []));
}
