// What Berth says about the device has the keys and shapes of the stock runtime, as recorded on one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DeviceReadings, deviceFacts, OWN_KEYS } from '../../services/state-svc/device-facts.ts';
import { createOwnMetadata } from '../../services/state-svc/device-readings.ts';

/** Recorded on a device with the stock runtime; values shortened. */
const RECORDED: Readonly<Record<string, unknown>> = {
  storage: { total: 270553174016, free: 243291545600, reserved: 13527658700, real_free: 229763886900 },
  interfaces: {
    'lo.ipv4': ['127.0.0.1'],
    'lo.ipv6': ['::1'],
    'lxcbr0.mac': ['f6:9e:81:14:fc:82'],
    'lxcbr0.ipv4': ['10.0.3.1'],
    'lxcbr0.ipv6': ['fe80::f49e:81ff:fe14:fc82%lxcbr0'],
    'veth57oyvT.mac': ['fe:dc:5f:08:c2:94'],
  },
  'pantavisor.status': 'READY',
  sysinfo: {
    uptime: 4257,
    'loads.0': 96512,
    'loads.1': 71936,
    'loads.2': 74080,
    totalram: 25276502016,
    freeram: 24297635840,
    sharedram: 15228928,
    bufferram: 1925120,
    totalswap: 0,
    freeswap: 0,
    procs: 114,
    totalhigh: 0,
    freehigh: 0,
    mem_unit: 1,
  },
  time: { timeval: { tv_sec: 1795189855, tv_usec: 667000 }, timezone: { tz_minuteswest: 0, tz_dsttime: 0 } },
  'pantavisor.uname': {
    'kernel.name': 'Linux',
    'kernel.release': '6.18.44',
    'kernel.version': '#1 SMP',
    'node.name': 'vm',
    machine: 'x86_64',
  },
  'pantahub.claimed': '0',
  'pantahub.online': '0',
  'pantavisor.mode': 'local',
  'pantavisor.revision': '0',
  'pantavisor.cpumodel': 'Intel(R) Xeon(R) Processor',
  'pantavisor.version': '026',
  'pantavisor.arch': 'x86_64/64/EL',
};

const address = { netmask: '', internal: false, cidr: null };
const LOOPBACK = { ...address, mac: '00:00:00:00:00:00' };
const BRIDGE = { ...address, mac: 'f6:9e:81:14:fc:82' };
const READINGS: DeviceReadings = {
  version: '026',
  revision: '0',
  status: 'READY',
  machine: 'x86_64',
  bits: 64,
  endianness: 'LE',
  cpuModel: 'Intel(R) Xeon(R) Processor',
  deviceTreeModel: '',
  kernel: { name: 'Linux', release: '6.18.44', version: '#1 SMP' },
  hostname: 'vm',
  interfaces: {
    lo: [
      { ...LOOPBACK, address: '127.0.0.1', family: 'IPv4' },
      { ...LOOPBACK, address: '::1', family: 'IPv6', scopeid: 0 },
    ],
    lxcbr0: [
      { ...BRIDGE, address: '10.0.3.1', family: 'IPv4' },
      { ...BRIDGE, address: 'fe80::f49e:81ff:fe14:fc82', family: 'IPv6', scopeid: 3 },
    ],
  },
  macs: new Map([
    ['lo', '00:00:00:00:00:00'],
    ['lxcbr0', 'f6:9e:81:14:fc:82'],
    ['veth57oyvT', 'fe:dc:5f:08:c2:94'],
  ]),
  storage: { total: 270553174016, free: 243291545600 },
  reservedPercent: 5,
  nowMs: 1795189855667,
  uptimeSeconds: 4257.42,
  meminfo:
    'MemTotal:       24684084 kB\nMemFree:        23728160 kB\nBuffers:            1880 kB\nShmem:             14872 kB\nSwapTotal:             0 kB\nHugePages_Total:       0\n',
  loadavg: '1.4727 1.0977 1.1292 2/114 4711\n',
};

const parsed = (facts: ReadonlyMap<string, string>): Record<string, unknown> =>
  Object.fromEntries([...facts].map(([key, fact]) => [key, fact.startsWith('{') ? JSON.parse(fact) : fact]));

describe('device facts', () => {
  it('are those of the stock runtime, in its shapes', () => {
    const facts = parsed(deviceFacts(READINGS));
    const sysinfo = facts.sysinfo;
    assert.deepEqual({ ...facts, sysinfo: RECORDED.sysinfo }, RECORDED);
    assert.deepEqual(sysinfo, { ...Object(RECORDED.sysinfo), 'loads.0': 96515, 'loads.1': 71939, 'loads.2': 74003 });
    assert.deepEqual(Object.keys(Object(sysinfo)), Object.keys(Object(RECORDED.sysinfo)));
  });

  it('are Berth’s own keys, all of them', () => {
    for (const key of deviceFacts(READINGS).keys()) assert.ok(OWN_KEYS.has(key), key);
    for (const key of ['k1', 'pantavisor', 'web.storage', 'constructor']) assert.ok(!OWN_KEYS.has(key), key);
  });

  it('fit a message with thousands of interfaces, those with an address first, and say how many are left out', () => {
    const ports = Array.from({ length: 4000 }, (_, index): [string, string] => {
      const byte = (shift: number) => ((index >> shift) & 255).toString(16).padStart(2, '0');
      return [`a${'v'.repeat(8)}${index}`, `fe:dc:5f:08:${byte(8)}:${byte(0)}`];
    });
    const text = deviceFacts({ ...READINGS, macs: new Map([...ports, ...READINGS.macs]) }).get('interfaces') ?? '';
    assert.ok(Buffer.byteLength(text) < 50 * 1024);
    const told = JSON.parse(text);
    assert.deepEqual(told['lxcbr0.ipv4'], ['10.0.3.1']);
    const macs = Object.keys(told).filter((key) => key.endsWith('.mac')).length;
    assert.ok(macs > 1000);
    assert.deepEqual(told.more, [`${ports.length + 2 - macs} interfaces more than fit here`]);
  });

  it('leave out what cannot be asked, and are never negative', () => {
    const bare = {
      ...READINGS,
      storage: undefined,
      cpuModel: undefined,
      interfaces: { gone: undefined },
      macs: new Map<string, string>(),
      meminfo: '',
      loadavg: '',
    };
    const facts = parsed(deviceFacts(bare));
    assert.ok(!('storage' in facts) && !('pantavisor.cpumodel' in facts));
    assert.deepEqual(facts.interfaces, {});
    assert.ok(Object.values(Object(facts.sysinfo)).every((value) => Number.isInteger(value)));
    const full = parsed(deviceFacts({ ...READINGS, storage: { total: 1000, free: 10 } }));
    assert.deepEqual(full.storage, { total: 1000, free: 10, reserved: 50, real_free: 0 });
  });

  it('name the board by its device tree, where it has one', () => {
    const deviceTreeModel = 'Raspberry Pi 4 Model B Rev 1.4\0';
    assert.equal(
      deviceFacts({ ...READINGS, deviceTreeModel }).get('pantavisor.dtmodel'),
      'Raspberry Pi 4 Model B Rev 1.4',
    );
    assert.ok(!deviceFacts(READINGS).has('pantavisor.dtmodel'));
  });

  it('come from this machine', () => {
    const facts = parsed(
      createOwnMetadata({
        storage: '/',
        reservedPercent: () => 5,
        revisionStatus: () => ({ revision: '7', status: 'STARTED' }),
      }).entries(),
    );
    assert.equal(facts['pantavisor.revision'], '7');
    assert.equal(facts['pantavisor.status'], 'STARTED');
    assert.deepEqual(
      Object.keys(facts)
        .filter((key) => key !== 'pantavisor.dtmodel')
        .sort(),
      Object.keys(RECORDED).sort(),
    );
    for (const key of ['storage', 'sysinfo', 'pantavisor.uname', 'time']) {
      assert.deepEqual(Object.keys(Object(facts[key])), Object.keys(Object(RECORDED[key])), key);
    }
    assert.match(String(facts['pantavisor.arch']), /^\w+\/(32|64)\/E[LB]$/);
    assert.ok(Object(facts.sysinfo).totalram > 1024 * 1024);
    assert.ok(Object(facts.sysinfo).procs > 1);
  });
});
