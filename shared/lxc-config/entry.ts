// What LXC's configuration format (lxc.container.conf(5)) holds: entries, and where each stands.

export interface LxcEntry {
  /** Starts with `lxc.`. */
  readonly key: string;
  /** Without surrounding blanks and one pair of quotes. Empty: clears what a list had so far. */
  readonly value: string;
  /** From 1, in `source`. */
  readonly line: number;
  /** The file's name as given to the parser; an included file's is its path in the container's folder. */
  readonly source: string;
}

export interface LxcProblem {
  readonly line: number;
  readonly source: string;
  readonly reason: string;
}

export interface ParsedLxcConfig {
  /** In the order in which LXC would apply them; included lines stand where the include stood, and `lxc.mount.fstab` is `lxc.mount.entry` lines. */
  readonly entries: readonly LxcEntry[];
  readonly problems: readonly LxcProblem[];
}
