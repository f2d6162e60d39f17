// The LXC configuration that a container is started with: its own lines, without what Berth owns, and Berth's. Pure.
import { fieldsOf, MAKES_SOURCE, withFields } from '../../shared/lxc-config/mount-entries.ts';
import { cgroupLimits, cgroupPlaces } from './cgroup-keys.ts';
import type { ConfigDraft, ConfigPart, ConfigSettings } from './config-draft.ts';
import { logging, terminals } from './console-keys.ts';
import { devLog } from './dev-log.ts';
import { deviceMount } from './device-mount.ts';
import { identity, network, sharedNamespaces } from './network-keys.ts';
import { containerScore } from './oom-score.ts';
import { overlayMounts } from './overlay-mounts.ts';
import { withoutOwned } from './owned-keys.ts';
import { pantavisorMounts } from './pantavisor-mounts.ts';
import { volumeMounts } from './volume-mounts.ts';

/** In the order in which they are applied: each sees what those before it left. */
const PARTS: readonly ConfigPart[] = [
  withoutOwned,
  deviceMount,
  cgroupLimits,
  overlayMounts,
  volumeMounts,
  pantavisorMounts,
  devLog,
  sharedNamespaces,
  network,
  terminals,
  identity,
  logging,
  cgroupPlaces,
  containerScore,
  sourcesMade,
];

/** Sources that are to be made are by now; what LXC does not know of a line it gives to the file system, and tmpfs refuses it. */
function sourcesMade(draft: ConfigDraft): ConfigDraft {
  const entries = draft.entries.map((entry) => {
    if (entry.key !== 'lxc.mount.entry' || !entry.value.includes(MAKES_SOURCE)) return entry;
    const options = [...fieldsOf(entry.value).options].filter((option) => option !== MAKES_SOURCE);
    return { ...entry, value: withFields(entry.value, { options }) };
  });
  return { ...draft, entries };
}

/** `own`: the container's lines. Throws an error that names the line which cannot be. */
export function containerConfig(own: ConfigDraft, settings: ConfigSettings): ConfigDraft {
  return PARTS.reduce((draft, part) => part(draft, settings), own);
}
