// Which network a container gets to by a path or pid in its own `lxc.namespace.share.net`. LXC opens it where its monitor is, from which
// /proc/self leads to the monitors' network: the container would be the one in there that commands all others.
import { basename } from 'node:path';
import type { ConfigLine } from './config-draft.ts';
import type { MonitorNetworks } from './monitor-networks.ts';
import { StepFailure } from './step-failure.ts';

/** The lines that LXC is given, with `host` in place of what leads to our network. Throws StepFailure for what leads to the monitors'. */
export function withReachedNetwork(
  entries: readonly ConfigLine[],
  networks: Pick<MonitorNetworks, 'reachedBy'>,
  host: string,
): readonly ConfigLine[] {
  return entries.map((entry) => {
    const { key, value, source, line } = entry;
    // What Berth adds stands in no file.
    if (key !== 'lxc.namespace.share.net' || source === undefined) return entry;
    const path = pathOf(value);
    const reached = path === undefined ? undefined : networks.reachedBy(path);
    if (reached === 'host') return { ...entry, value: host };
    if (reached === undefined) return entry;
    const why = 'leads to the network of LXC’s monitors, in which no container may be';
    throw new StepFailure('network', `${basename(source)}:${line}: ${key} = ${value} ${why}`);
  });
}

/** As LXC reads it (src/lxc/confile_utils.c, lxc_inherit_namespace()). Undefined: the name of a container. */
function pathOf(value: string): string | undefined {
  if (value.startsWith('/')) return value;
  return /^\d+$/.test(value) ? `/proc/${value}/ns/net` : undefined;
}
