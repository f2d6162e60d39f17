// Asks the machine what device-meta says about it. Nothing here needs more than the files that the contract names.
import { readdirSync, statfsSync } from 'node:fs';
import { arch, cpus, endianness, hostname, machine, networkInterfaces, release, type, uptime, version } from 'node:os';
import manifest from '../../package.json' with { type: 'json' };
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import { type DeviceReadings, deviceFacts, NO_MAC, OWN_KEYS } from './device-facts.ts';
import { addressesIn, connectedNetworks } from './idle-addresses.ts';
import type { OwnMetadata } from './metadata.ts';

export interface RevisionStatus {
  /** Undefined: not known yet. */
  readonly revision: string | undefined;
  readonly status: string | undefined;
}

export interface OwnMetadataContext {
  /** Any folder of its file system that may be asked. */
  readonly storage: string;
  readonly reservedPercent: () => number;
  readonly revisionStatus: () => RevisionStatus;
}

export function createOwnMetadata({ storage, reservedPercent, revisionStatus }: OwnMetadataContext): OwnMetadata {
  // None of these changes while the machine runs, and asking for the first costs a file of a few KiB for each core.
  const cpuModel = cpus()[0]?.model;
  const deviceTreeModel = textIfThere('/proc/device-tree/model');
  const kernel = { name: type(), release: release(), version: version() };
  const bits = arch().includes('64') ? 64 : 32;
  const read = (): DeviceReadings => ({
    ...revisionStatus(),
    version: manifest.version,
    machine: machine(),
    bits,
    endianness: endianness(),
    cpuModel,
    deviceTreeModel,
    kernel,
    hostname: hostname(),
    interfaces: interfaces(),
    macs: macsOf('/sys/class/net'),
    storage: spaceOf(storage),
    reservedPercent: reservedPercent(),
    nowMs: Date.now(),
    uptimeSeconds: uptime(),
    meminfo: textIfThere('/proc/meminfo'),
    loadavg: textIfThere('/proc/loadavg'),
  });
  return { keys: OWN_KEYS, entries: () => deviceFacts(read()) };
}

function spaceOf(path: string): DeviceReadings['storage'] {
  try {
    const { bsize, blocks, bfree } = statfsSync(path);
    return { total: bsize * blocks, free: bsize * bfree };
  } catch {
    return undefined;
  }
}

/** Node leaves out those that carry nothing right now. */
function interfaces(): DeviceReadings['interfaces'] {
  const carrying = networkInterfaces();
  const networks = connectedNetworks(textIfThere('/proc/net/route'), endianness());
  // The other file is longer, and most of the time it has nothing to add.
  if (networks.every(({ link }) => carrying[link] !== undefined)) return carrying;
  const idle = [...addressesIn(networks, textIfThere('/proc/net/fib_trie'))].map(([link, addresses]) => [
    link,
    [...addresses].map((address) => ({ ...UNTOLD, address })),
  ]);
  return { ...Object.fromEntries(idle), ...carrying };
}

/** What is not known of an address that Node did not tell, and what nobody asks. */
const UNTOLD = { family: 'IPv4', netmask: '', mac: NO_MAC, internal: false, cidr: null } as const;

/** Node tells of interfaces with an address only; a bridge's ports have none. */
function macsOf(folder: string): ReadonlyMap<string, string> {
  try {
    const names = readdirSync(folder);
    return new Map(
      names.map((name) => [name, textIfThere(`${folder}/${name}/address`).trim()] as const).filter(isWhole),
    );
  } catch {
    return new Map();
  }
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/** Tunnels have addresses of other forms, and an interface may be gone by now. */
function isWhole([, mac]: readonly [string, string]): boolean {
  return MAC.test(mac);
}
