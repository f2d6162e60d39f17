// What a state of a few kilobytes, or a configuration that is read for it, may cost: whoever checks it answers nobody meanwhile.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runInNewContext } from 'node:vm';
import { MAX_CONFIG_BYTES } from '../../shared/lxc-config/parse.ts';
import { configBudget } from '../../shared/revision/config-budget.ts';
import { container, DEVICE, parse, state } from './states.ts';

/** A context of its own can be ended in the middle. Each takes a second at most; what it is about took minutes. */
const PATIENCE_MS = 20_000;

const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');
const config = (text: string, ...names: string[]) =>
  parse(
    state(...[...names, 'a'].map((name) => container(name))),
    Object.fromEntries([...names, 'a'].map((name) => [`${name}/lxc.container.conf`, text])),
  );
const device = (document: object) => parse(state(container('a', { group: 'x' }), { 'device.json': document }));
const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const baked = (at: number): string => `lxc.net.${at}.ipv4.address = 11.${at >> 8}.${at & 255}.1/24`;
const BLANKS = ' '.repeat(300_000);

/** What each comes to: the codes of its problems, each once. */
const CASES: Readonly<Record<string, readonly [check: () => ReturnType<typeof parse>, codes: readonly string[]]>> = {
  'a path of a hundred thousand parts': [() => parse(state({ [`${'a/'.repeat(100_000)}a`]: {} })), ['BAD_PATH']],
  'a line of a module that is all blanks': [
    () => parse(state({ 'bsp/drivers.json': { all: { x: [`mod${BLANKS}$`] } } })),
    ['BAD_VALUE'],
  ],
  'a hundred thousand lines that are no modules': [
    () => parse(state({ 'bsp/drivers.json': { all: Object.fromEntries(many(100_000, (at) => [`d${at}`, ['$']])) } })),
    ['BAD_VALUE'],
  ],
  'a configuration with nine thousand addresses': [() => config(lines(9000, baked)), []],
  'one that clears as many as it names': [
    () =>
      config(
        lines(10_000, (at) => (at < 5000 ? `lxc.net.1.ipv4.address = 11.0.${at >> 8}.${at & 255}` : 'lxc.net.2 =')),
      ),
    [],
  ],
  'one with ten thousand lines of namespaces': [() => config(lines(10_000, () => 'lxc.namespace.clone = mnt')), []],
  'one with a long run of blanks inside a line': [() => config(`lxc.environment = a=${BLANKS}b`), []],
  'one with a mount entry that is one long word': [
    () => config(`lxc.mount.entry = ${'a'.repeat(300_000)}${BLANKS}`),
    ['BAD_VALUE'],
  ],
  'one with thousands of deep mounts': [
    () => config(lines(7000, (at) => `lxc.mount.entry = tmpfs ${'d/'.repeat(39)}${at} tmpfs rw,create=dir 0 0`)),
    ['BAD_CONFIG'],
  ],
  'one with a long run of slashes': [
    () =>
      config(
        `lxc.mount.entry = a a${'/'.repeat(300_000)}b none bind 0 0\nlxc.rootfs.path = overlayfs:/a${'/'.repeat(300_000)}b`,
      ),
    ['BAD_ROOT_PATH'],
  ],
  'one with a hundred thousand lines that are none': [() => config(lines(100_000, () => 'lxc.')), ['BAD_CONFIG']],
  'one that thirty containers share': [
    () => config(lines(9000, baked), ...many(30, (at) => `c${at}`)),
    ['CONFIG_TOO_LARGE', 'ADDRESS_CONFLICT'],
  ],
  'one that is none': [() => config('x'.repeat(1024 * 1024 + 1)), ['CONFIG_TOO_LARGE']],
  'an export with a long run of slashes': [
    () => parse(state(container('a', { exports: [`a${'/'.repeat(300_000)}b`] }))),
    ['BAD_VALUE'],
  ],
  'more pools than a device has': [
    () =>
      device({
        network: {
          pools: Object.fromEntries(
            many(30_000, (at) => [
              `p${at}`,
              { bridge: `b${at}`, subnet: `10.${at >> 8}.${at & 255}.0/24`, gateway: `10.${at >> 8}.${at & 255}.1` },
            ]),
          ),
        },
      }),
    ['TOO_MANY_POOLS', 'UNKNOWN_GROUP'],
  ],
  'more groups than a device has': [
    () => device({ ...DEVICE, groups: many(100_000, (at) => ({ name: `g${at}` })) }),
    ['BAD_VALUE', 'UNKNOWN_GROUP'],
  ],
  'more disks than a device has': [
    () => device({ disks: many(100_000, (at) => ({ name: `d${at}`, type: 'directory' })) }),
    ['BAD_VALUE', 'UNKNOWN_GROUP'],
  ],
  'a disk’s path with a long run of slashes': [
    () => device({ disks: [{ name: 'd', type: 'directory', path: `/a${'/'.repeat(300_000)}b` }] }),
    ['DISK_PATH', 'UNKNOWN_GROUP'],
  ],
  'more volumes than an overlay has layers': [
    () => parse(state(container('a', { volumes: many(300_000, () => '/') }))),
    ['BAD_VALUE'],
  ],
  'more interfaces than a container has': [
    () =>
      parse(
        state(container('a', { network: { pool: 'lab', interfaces: many(100_000, (at) => ({ name: `e${at}` })) } })),
      ),
    ['BAD_VALUE'],
  ],
};

describe('revision.parseState', () => {
  for (const [name, [check, codes]] of Object.entries(CASES)) {
    it(`is done with ${name}`, () => {
      const parsed: ReturnType<typeof parse> = runInNewContext('check()', { check }, { timeout: PATIENCE_MS });
      assert.deepEqual([...new Set(parsed.ok ? [] : parsed.problems.map(({ code }) => code))], codes);
    });
  }

  it('names of one configuration no more than anybody corrects at once', () => {
    const parsed = config(lines(1000, () => 'lxc.'));
    assert.equal(parsed.ok ? 0 : parsed.problems.length, 100);
  });
});

describe('revision.configBudget', () => {
  it('reads no more, and says so once, when all configurations together are too large', () => {
    let reads = 0;
    const { read, problems } = configBudget(() => {
      reads += 1;
      return 'x'.repeat(MAX_CONFIG_BYTES);
    });
    const texts = many(10, (at) => read(`c${at}/lxc.container.conf`, 'digest'));
    assert.deepEqual(
      texts.map((text) => text?.length),
      [MAX_CONFIG_BYTES, MAX_CONFIG_BYTES, ...many(8, () => 0)],
    );
    assert.deepEqual(
      [reads, problems.map(({ path, code }) => [path, code])],
      [3, [['c2/lxc.container.conf', 'CONFIG_TOO_LARGE']]],
    );
  });
});
