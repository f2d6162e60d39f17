// What a container's paths lead to by the time an entry of its configuration is mounted: a tree of all mount points until then. Pure.

export type Content =
  /** `options`: those of its mount. */
  | { readonly kind: 'folder'; readonly root: string; readonly options: ReadonlySet<string> }
  | { readonly kind: 'file' }
  /** An empty tmpfs. */
  | { readonly kind: 'fresh' }
  /** Nothing of it can be looked at before it is mounted. */
  | { readonly kind: 'unknown' };

export interface Seen {
  readonly content: Content;
  /** Inside it; empty: itself. */
  readonly below: string;
}

export interface MountView {
  at(path: readonly string[]): Seen;
  mount(path: readonly string[], content: Content): void;
}

interface Place {
  top: { readonly content: Content; readonly order: number } | undefined;
  readonly children: Map<string, Place>;
}

export function createMountView(root: Content): MountView {
  let mounts = 0;
  const start: Place = { top: { content: root, order: 0 }, children: new Map() };
  return {
    at(path) {
      let seen = { content: root, order: 0, depth: 0 };
      let place: Place | undefined = start;
      for (let depth = 0; place !== undefined; depth += 1) {
        // What is mounted above later covers it.
        if (place.top !== undefined && place.top.order >= seen.order) seen = { ...place.top, depth };
        const name = path[depth];
        place = name === undefined ? undefined : place.children.get(name);
      }
      return { content: seen.content, below: path.slice(seen.depth).join('/') };
    },
    mount(path, content) {
      let place = start;
      for (const name of path) {
        const next = place.children.get(name) ?? { top: undefined, children: new Map<string, Place>() };
        place.children.set(name, next);
        place = next;
      }
      mounts += 1;
      place.top = { content, order: mounts };
    },
  };
}
