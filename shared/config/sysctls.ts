// Parameters of the kernel among the keys: `sysctl.net.core.rmem_max=…`, or `PV_SYSCTL_NET_CORE_RMEM_MAX=…`, which does not say where a part ends.
export interface WrittenSysctl {
  /** As it was written, for people. */
  readonly name: string;
  readonly value: string;
}

/** Its parts, from /proc/sys on. `open`: `_` may part one from the next, where that is a folder. */
export interface SysctlName {
  readonly parts: readonly string[];
  readonly open: boolean;
}

/** Undefined: it is no name of one. */
export function parseSysctlName(name: string): SysctlName | undefined {
  // As sysctl(8) has it, the names of interfaces have dots that are to be written as slashes; Pantavisor takes any for the end of a part.
  const dotted = /^sysctl((?:\.[\w-]+)+)$/.exec(name)?.[1];
  if (dotted !== undefined) return { parts: dotted.slice(1).split('.'), open: false };
  const words = /^pv_sysctl_([\w-]+)$/i.exec(name)?.[1];
  return words === undefined ? undefined : { parts: words.toLowerCase().split('_'), open: true };
}
