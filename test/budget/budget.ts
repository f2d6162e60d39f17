// What Berth may cost where that can be counted. Whoever needs more raises a figure here, and says in the commit what for.

/** Bundle → the most it may have: bytes, and files that are put together in it. */
export const BUNDLES: Readonly<Record<string, { readonly bytes: number; readonly modules: number }>> = {
  'berth-check': { bytes: 262_000, modules: 126 },
  'berth-pack': { bytes: 262_000, modules: 139 },
  'berth-run': { bytes: 280_000, modules: 180 },
  berth: { bytes: 10_000, modules: 12 },
  boot: { bytes: 10_000, modules: 5 },
  'checksum-worker': { bytes: 10_000, modules: 3 },
  'compress-worker': { bytes: 10_000, modules: 4 },
  'ctl-svc': { bytes: 285_000, modules: 152 },
  'ipam-svc': { bytes: 170_000, modules: 98 },
  'log-svc': { bytes: 270_000, modules: 162 },
  'lxc-svc': { bytes: 393_000, modules: 233 },
  'net-svc': { bytes: 264_000, modules: 148 },
  'outside-host': { bytes: 10_000, modules: 3 },
  pvcontrol: { bytes: 100_000, modules: 66 },
  'state-svc': { bytes: 490_000, modules: 274 },
};

/** Messages that state-svc sends to its peers for the start of one container with an address. */
export const MESSAGES_PER_START = 4;
/** New processes and threads on the device for the start of one container, its own two and LXC's among them. */
export const PROCESSES_PER_START = 10;
/** Synced writes for a lease that is asked for alone, and for 64 that are asked for together. */
export const WRITES_PER_LEASE = 1;
export const WRITES_PER_64_LEASES = 2;
