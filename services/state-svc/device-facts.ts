// What Berth itself says about the device under device-meta: keys and shapes of the stock runtime. Pure.
import { Buffer } from 'node:buffer';
import type { NetworkInterfaceInfo } from 'node:os';

/** Each measured at the same moment. */
export interface DeviceReadings {
  readonly version: string;
  /** Undefined, and its status as well: not known yet. */
  readonly revision: string | undefined;
  /** Of the revision, as of a group. */
  readonly status: string | undefined;
  readonly machine: string;
  readonly bits: number;
  readonly endianness: 'BE' | 'LE';
  readonly cpuModel: string | undefined;
  /** The text of /proc/device-tree/model; empty where there is no device tree. */
  readonly deviceTreeModel: string;
  readonly kernel: { readonly name: string; readonly release: string; readonly version: string };
  readonly hostname: string;
  /** As os.networkInterfaces() tells, and of those that carry nothing right now the IPv4 addresses. */
  readonly interfaces: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;
  /** Of every interface, also of those that have no address and are not among the above. */
  readonly macs: ReadonlyMap<string, string>;
  /** Bytes, of the file system with the storage; undefined when it cannot be asked. */
  readonly storage: { readonly total: number; readonly free: number } | undefined;
  /** Percent of the storage that is kept free. */
  readonly reservedPercent: number;
  readonly nowMs: number;
  readonly uptimeSeconds: number;
  /** The texts of /proc/meminfo and /proc/loadavg (proc(5)); empty where they cannot be read. */
  readonly meminfo: string;
  readonly loadavg: string;
}

/** Of deviceFacts, whatever the readings. */
const KEYS = [
  'storage',
  'interfaces',
  'sysinfo',
  'time',
  'pantavisor.arch',
  'pantavisor.version',
  'pantavisor.revision',
  'pantavisor.status',
  'pantavisor.mode',
  'pantavisor.uname',
  'pantavisor.cpumodel',
  'pantavisor.dtmodel',
  'pantahub.claimed',
  'pantahub.online',
] as const;
type OwnKey = (typeof KEYS)[number];

/** What the stock runtime says of the cloud that it talks to. It leaves them among the stored keys; here nobody says them, and they would stand for ever. */
const KEYS_OF_STOCK = ['pantahub.state', 'pantahub.address', 'pantavisor.claimed'] as const;

/** Nobody else may set them. */
export const OWN_KEYS: ReadonlySet<string> = new Set([...KEYS, ...KEYS_OF_STOCK]);

/** Without what cannot be told right now. */
export function deviceFacts(readings: DeviceReadings): ReadonlyMap<string, string> {
  const { machine, bits, endianness, kernel } = readings;
  const facts: Readonly<Record<OwnKey, string | object | undefined>> = {
    storage: storageFact(readings),
    interfaces: interfacesFact(readings),
    sysinfo: sysinfoFact(readings),
    time: timeFact(readings.nowMs),
    'pantavisor.arch': `${machine}/${bits}/${endianness === 'LE' ? 'EL' : 'EB'}`,
    'pantavisor.version': readings.version,
    'pantavisor.revision': readings.revision,
    'pantavisor.status': readings.status,
    // There is no cloud that it could be controlled from.
    'pantavisor.mode': 'local',
    'pantavisor.uname': {
      'kernel.name': kernel.name,
      'kernel.release': kernel.release,
      'kernel.version': kernel.version,
      'node.name': readings.hostname,
      machine,
    },
    'pantavisor.cpumodel': readings.cpuModel,
    'pantavisor.dtmodel': modelFact(readings.deviceTreeModel),
    'pantahub.claimed': '0',
    'pantahub.online': '0',
  };
  return new Map(
    Object.entries(facts).flatMap(([key, fact]) =>
      fact === undefined ? [] : [[key, typeof fact === 'string' ? fact : JSON.stringify(fact)] as const],
    ),
  );
}

/** As all texts of a device tree it ends with a zero byte. */
function modelFact(text: string): string | undefined {
  const model = text.replace(/\0.*$/s, '').trim();
  return model === '' ? undefined : model;
}

function storageFact({ storage, reservedPercent }: DeviceReadings): object | undefined {
  if (storage === undefined) return undefined;
  const reserved = Math.floor((storage.total * reservedPercent) / 100);
  return { ...storage, reserved, real_free: Math.max(0, storage.free - reserved) };
}

/** Of an interface without one, as Node writes it. */
export const NO_MAC = '00:00:00:00:00:00';

/** Of all interfaces, as JSON: a message holds no more than 64 KiB, and each container in a pool has a port with a MAC on the host. */
const MAX_INTERFACES_BYTES = 48 * 1024;

/** Those without an address are left out first. No interface's key is `more`: each has a dot. */
function interfacesFact({ interfaces, macs }: DeviceReadings): object {
  const names = [...new Set([...Object.keys(interfaces), ...macs.keys()])];
  const isAddressed = (name: string): boolean => (interfaces[name] ?? []).length > 0;
  const facts: Record<string, string[]> = {};
  let bytes = 0;
  let leftOut = 0;
  for (const name of [...names.filter(isAddressed), ...names.filter((each) => !isAddressed(each))]) {
    const its = interfaceFacts(name, interfaces[name] ?? [], macs.get(name));
    bytes += Buffer.byteLength(JSON.stringify(its));
    if (bytes > MAX_INTERFACES_BYTES) leftOut += 1;
    else Object.assign(facts, its);
  }
  if (leftOut > 0) facts.more = [`${leftOut} interfaces more than fit here`];
  return facts;
}

function interfaceFacts(
  name: string,
  addresses: readonly NetworkInterfaceInfo[],
  mac = addresses[0]?.mac ?? NO_MAC,
): Record<string, string[]> {
  const facts: Record<string, string[]> = {};
  if (mac !== NO_MAC) facts[`${name}.mac`] = [mac];
  for (const family of ['IPv4', 'IPv6'] as const) {
    const its = addresses.filter((address) => address.family === family);
    if (its.length > 0) facts[`${name}.${family.toLowerCase()}`] = its.map((address) => textOf(name, address));
  }
  return facts;
}

/** An address that only means something on its interface says which. */
function textOf(name: string, info: NetworkInterfaceInfo): string {
  return info.family === 'IPv6' && info.scopeid !== 0 ? `${info.address}%${name}` : info.address;
}

function timeFact(nowMs: number): object {
  return {
    timeval: { tv_sec: Math.floor(nowMs / 1000), tv_usec: (nowMs % 1000) * 1000 },
    // Of the kernel, which nobody sets any more; not of the user's clock (gettimeofday(2)).
    timezone: { tz_minuteswest: 0, tz_dsttime: 0 },
  };
}

/** sysinfo(2) counts load averages in units of 1/65536 (SI_LOAD_SHIFT). */
const LOAD_UNIT = 65536;

function sysinfoFact({ uptimeSeconds, meminfo, loadavg }: DeviceReadings): object {
  const memory = new Map(
    [...meminfo.matchAll(/^(\w+):\s+(\d+) kB$/gm)].map(([, name = '', kib]) => [name, Number(kib) * 1024] as const),
  );
  const bytes = (name: string): number => memory.get(name) ?? 0;
  const [one, five, fifteen, tasks = ''] = loadavg.trim().split(' ');
  const load = (text: string | undefined): number => Math.round(Number(text ?? 0) * LOAD_UNIT);
  return {
    uptime: Math.floor(uptimeSeconds),
    'loads.0': load(one),
    'loads.1': load(five),
    'loads.2': load(fifteen),
    totalram: bytes('MemTotal'),
    freeram: bytes('MemFree'),
    sharedram: bytes('Shmem'),
    bufferram: bytes('Buffers'),
    totalswap: bytes('SwapTotal'),
    freeswap: bytes('SwapFree'),
    procs: Number(tasks.split('/')[1] ?? 0),
    totalhigh: bytes('HighTotal'),
    freehigh: bytes('HighFree'),
    mem_unit: 1,
  };
}
