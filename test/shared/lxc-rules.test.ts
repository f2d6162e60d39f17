// What a container's LXC configuration may say: the keys that LXC knows, those that are Berth's, the root path, the init command.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import koffi from 'koffi';
import { splitCommand } from '../../shared/lxc-config/init-command.ts';
import { EXACT_KEYS, keyTooNew, unknownKeys } from '../../shared/lxc-config/keys.ts';
import { mountProblems } from '../../shared/lxc-config/mount-budget.ts';
import { type ConfigOwner, isOwned, ownedConflicts } from '../../shared/lxc-config/owned-keys.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';
import { readRootPath } from '../../shared/lxc-config/root-path.ts';
import { wrongValue } from '../../shared/lxc-config/values.ts';

const entriesOf = (text: string) => parseLxcConfig(text, 'conf').entries;
const wrongValuesOf = (text: string) => entriesOf(text).flatMap((entry) => wrongValue(entry) ?? []);

describe('lxcConfig.keys', () => {
  it('are those of the LXC that is installed', () => {
    const isSupported = koffi.load('liblxc.so.1').func('bool lxc_config_item_is_supported(const char *key)');
    assert.deepEqual(
      [...EXACT_KEYS].filter((key) => !isSupported(key)),
      [],
    );
  });

  it('are named with line and new name when LXC would refuse them', () => {
    const text =
      'lxc.uts.name = a\nlxc.utsname = b\nlxc.net.0.type = veth\nlxc.network.link = x\nlxc.hook.pre-start = /x\nlxc.tty.maxx = 3';
    assert.deepEqual(
      unknownKeys(entriesOf(text)).map(({ line, reason }) => `${line} ${reason.split(': ').at(-1)}`),
      ['2 write lxc.uts.name', '4 write lxc.net.0.link', '6 correct or remove the line'],
    );
  });

  it('are those of namespaces that there are', () => {
    const shares = (name: string) => `lxc.namespace.share.${name} = neighbour`;
    assert.deepEqual(unknownKeys(entriesOf(['net', 'mnt', 'time'].map(shares).join('\n'))), []);
    const text = ['network', 'foo', 'net.0'].map(shares).join('\n');
    assert.deepEqual(
      unknownKeys(entriesOf(text)).map(({ line }) => line),
      [1, 2, 3],
    );
  });

  it('may be one that Pantavisor’s LXC alone has, which is left out of what LXC is given', () => {
    const [entry] = entriesOf('lxc.tty.min = 3');
    assert.ok(entry !== undefined);
    assert.deepEqual(unknownKeys([entry]), []);
    for (const network of ['pool', 'host', 'none', 'legacy'] as const) assert.ok(isOwned(entry, network));
  });
});

describe('lxcConfig.keyTooNew', () => {
  it('names a key that only a newer LXC has, which is let pass until LXC says so', () => {
    const text = 'lxc.environment.runtime = A=b\nlxc.environment.hooks = A=b\nlxc.environment.hook = A=b';
    assert.deepEqual(
      unknownKeys(entriesOf(text)).map(({ line }) => line),
      [3],
    );
    const said = (key: string): string =>
      `lxc-start: c: confile.c: 164 Invalid argument - Unsupported config key "${key}"`;
    assert.match(
      keyTooNew(said('lxc.environment.hooks')) ?? '',
      /too old for the key lxc\.environment\.hooks: install LXC 7\.0,/,
    );
    assert.match(keyTooNew(said('lxc.sched.core')) ?? '', /too old for the key lxc\.sched\.core: install a newer one,/);
    assert.equal(keyTooNew('Failed to load config for c'), undefined);
  });

  it('is of a value, as the key for all of them', () => {
    assert.match(wrongValuesOf('lxc.environment.runtime = A').join(), /lxc\.environment\.runtime: 'A' has no "="/);
  });
});

describe('lxcConfig.mountProblems', () => {
  const lines = (count: number) => `lxc.mount.entry = /a//b/ ${'c/'.repeat(98)} none bind\n`.repeat(count);

  it('names the line with which paths have too many parts', () => {
    assert.deepEqual(mountProblems(entriesOf(lines(100))), []);
    const [problem, ...more] = mountProblems(entriesOf(`lxc.a = 1\n${lines(200)}`));
    assert.equal(problem?.line, 102);
    assert.match(problem?.reason ?? '', /^lxc\.mount\.entry: .* at most 10000 parts/);
    assert.deepEqual(more, []);
  });
});

describe('lxcConfig.rootPath', () => {
  const layers = (value: string) => {
    const path = readRootPath(value, 'app');
    return path.ok
      ? path.layers.map(({ container, file }) => (container === 'app' ? file : [container, file]))
      : path.reason;
  };

  it('is a stack of the container’s volumes below its writable layer', () => {
    assert.deepEqual(layers('overlayfs:/volumes/app/root.squashfs:/volumes/app/lxc-overlay/upper'), ['root.squashfs']);
    assert.deepEqual(layers('overlay:/volumes/app/a:/volumes/app/b:/volumes/app/c/:/volumes/app/lxc-overlay/upper/'), [
      'a',
      'b',
      'c',
    ]);
    assert.deepEqual(layers('/volumes/app/root.squashfs'), ['root.squashfs']);
    assert.deepEqual(layers('dir:/volumes/app/root.squashfs'), ['root.squashfs']);
  });

  it('has volumes of other containers among them, as an extension of these', () => {
    const value = (...paths: readonly string[]) =>
      `overlayfs:${paths.map((path) => `/volumes/${path}:`).join('')}/volumes/app/lxc-overlay/upper`;
    assert.deepEqual(layers(value('app/root.ovl.squashfs', 'other/root.squashfs/')), [
      'root.ovl.squashfs',
      ['other', 'root.squashfs'],
    ]);
    assert.deepEqual(layers(value('app/root.squashfs', 'b.2/root.squashfs', 'a/root.squashfs')), [
      'root.squashfs',
      ['b.2', 'root.squashfs'],
      ['a', 'root.squashfs'],
    ]);
  });

  it('names what is wrong with another', () => {
    const upper = '/volumes/app/lxc-overlay/upper';
    for (const [value, reason] of [
      ['overlayfs:/volumes/app/root.squashfs', /no writable layer/],
      [
        `overlayfs:/volumes/app/../x:${upper}`,
        /'\/volumes\/app\/\.\.\/x' is no volume, which is \/volumes\/<container>\/<volume>/,
      ],
      [`overlayfs:/volumes/app/a:/volumes/.b/a:${upper}`, /'\/volumes\/\.b\/a' is no volume/],
      [`overlayfs:/volumes/app/a:/volumes/other:${upper}`, /'\/volumes\/other' is no volume/],
      [`overlayfs:/volumes/app/a:/volumes/other/a/b:${upper}`, /'\/volumes\/other\/a\/b' is no volume/],
      [`overlayfs:/volumes/app/a:/volumes/app/a:${upper}`, /names \/volumes\/app\/a twice/],
      [`overlayfs:/volumes/o/a:/volumes/app/a:/volumes/o/a:${upper}`, /names \/volumes\/o\/a twice/],
      [
        `overlayfs:/volumes/app/a:/volumes/other/lxc-overlay/upper:${upper}`,
        /'\/volumes\/other\/lxc-overlay\/upper' is a writable layer, and only the last one may be/,
      ],
      [`overlayfs:/volumes/app/a:/volumes/o/lxc-overlay:${upper}`, /'\/volumes\/o\/lxc-overlay' is a writable layer/],
      [
        `overlayfs:${Array.from({ length: 250 }, (_, at) => `/volumes/app/a${at}:`).join('')}${upper}`,
        /has 4\d\d\d characters, and the kernel takes 4095/,
      ],
      ['overlayfs:/volumes/app/a:/tmp/upper', /does not end in/],
      ['btrfs:/volumes/app/a', /is no stack/],
      ['relative', /is no stack/],
      ['/volumes/app/a:/volumes/app/b', /several layers/],
    ] as const) {
      assert.match(String(layers(value)), reason, value);
    }
  });
});

describe('lxcConfig.ownedConflicts', () => {
  const OWNER: ConfigOwner = {
    container: 'app',
    volumes: ['root.squashfs', 'more.squashfs'],
    rootVolume: 'root.squashfs',
    bases: new Map([
      ['other', ['root.squashfs', 'x.squashfs']],
      ['unread', undefined],
    ]),
    network: 'pool',
    hostname: 'app-host',
  };
  const conflicts = (text: string, changes: Partial<ConfigOwner> = {}) =>
    ownedConflicts(entriesOf(text), { ...OWNER, ...changes }).map(
      ({ code, line, reason }) => `${line} ${code} ${reason}`,
    );

  it('are none in what the stock packager writes', () => {
    const stock = [
      'lxc.tty.max = 8',
      'lxc.tty.min = 3',
      'lxc.log.file = /pv/logs/app.log',
      'lxc.cgroup.devices.allow = a',
      'lxc.rootfs.path = overlayfs:/volumes/app/root.squashfs:/volumes/app/lxc-overlay/upper',
      'lxc.namespace.keep = user net ipc',
      'lxc.console.path = none',
      'lxc.mount.entry = /volumes/app/docker--data data none bind,rw,create=dir 0 0',
      'lxc.uts.name = app',
      'lxc.uts.name = app-host',
      'lxc.start.auto = 1',
      'lxc.ephemeral = 00',
    ];
    for (const network of ['pool', 'host', 'none', 'legacy'] as const) {
      assert.deepEqual(conflicts(stock.join('\n'), { network }), []);
    }
  });

  it('name the line and what to do instead', () => {
    for (const [line, expected] of [
      ['lxc.uts.name = other', /OWNED_KEY .*network\.hostname in run\.json; remove the line/],
      ['lxc.console.logfile = /x', /OWNED_KEY/],
      ['lxc.cgroup.dir.container = x', /OWNED_KEY/],
      ['lxc.namespace.share.net = 1', /OWNED_KEY/],
      ['lxc.ephemeral = 1', /persistence/],
      ['lxc.monitor.unshare = 1', /OWNED_KEY/],
      ['lxc.rootfs.mount = /mnt', /OWNED_KEY/],
      ['lxc.mount.entry = /x /pantavisor/logs none bind 0 0', /at \/pantavisor\/logs/],
      ['lxc.mount.entry = /x pantavisor/my\\040logs none bind 0 0', /at \/pantavisor\/my\\040logs,/],
      ['lxc.namespace.keep = user mnt', /BAD_NAMESPACE .*remove mnt/],
      ['lxc.namespace.clone = pid', /BAD_NAMESPACE .*add mnt/],
      ['lxc.namespace.keep = users', /'users' is no namespace/],
      ['lxc.namespace.share.mnt = /proc/1/ns/mnt', /BAD_NAMESPACE .*has its own mounts; remove the line/],
      ['lxc.namespace.share.user = neighbour', /BAD_NAMESPACE .*no user namespaces; remove the line/],
      ['lxc.idmap = u 0 100000 65536', /OWNED_KEY .*no user namespaces.*remove the line/],
      [
        'lxc.rootfs.path = overlayfs:/volumes/app/more.squashfs:/volumes/app/lxc-overlay/upper',
        /without root-volume root\.squashfs/,
      ],
      [
        'lxc.rootfs.path = overlayfs:/volumes/app/x.squashfs:/volumes/app/root.squashfs:/volumes/app/lxc-overlay/upper',
        /x\.squashfs is no volume of run\.json, which has root\.squashfs, more\.squashfs/,
      ],
    ] as const) {
      const [found, ...more] = conflicts(`# one\n${line}`);
      assert.match(found ?? 'none', expected, line);
      assert.match(found ?? '', /^2 /);
      assert.deepEqual(more, [], line);
    }
  });

  it('are bases that the revision does not have', () => {
    const line = (base: string, own = 'root.squashfs') =>
      `lxc.rootfs.path = overlayfs:/volumes/app/${own}:/volumes/${base}:/volumes/app/lxc-overlay/upper`;
    for (const base of ['other/root.squashfs', 'other/x.squashfs', 'unread/any.squashfs']) {
      assert.deepEqual(conflicts(line(base)), [], base);
    }
    assert.deepEqual(conflicts(line('none/x'), { bases: undefined }), []);
    for (const [base, expected] of [
      [
        line('none/root.squashfs'),
        /^1 BAD_ROOT_PATH lxc\.rootfs\.path: app is an extension of 'none', and there is no such container; add/,
      ],
      [
        line('other/y.squashfs'),
        /of 'other', and y\.squashfs is no volume of that one’s run\.json, which has root\.squashfs, x\.squashfs;/,
      ],
      [
        line('other/root.squashfs', 'more.squashfs'),
        /more\.squashfs and other\/root\.squashfs without root-volume root/,
      ],
    ] as const) {
      const [found, ...more] = conflicts(base);
      assert.match(found ?? 'none', expected, base);
      assert.deepEqual(more, [], base);
    }
  });

  it('are overlays of volumes that cannot be mounted, unless the line is optional', () => {
    const line = (options: readonly string[]) => `lxc.mount.entry = overlay x overlay rw,${options.join(',')} 0 0`;
    const [lower, upper, work] = ['root.squashfs/x', 'v/upper', 'v/work'].map((path) => `/volumes/app/${path}`);
    const lowerdir = `lowerdir=${lower}`;
    const all = [lowerdir, `upperdir=${upper}`, `workdir=${work}`];
    assert.deepEqual(conflicts(line(all)), []);
    assert.deepEqual(conflicts(line([`${lowerdir}:/volumes/o/v`])), []);
    for (const [options, expected] of [
      [[`upperdir=${upper}`, `workdir=${work}`], /has a lowerdir/],
      [[lowerdir, `upperdir=${upper}`], /both upperdir and workdir, or neither/],
      [[`lowerdir=${lower}/../..`, ...all.slice(1)], /\.\. is no path: write/],
      [['lowerdir=/opt/../volumes/app/v', ...all.slice(1)], /\/v is no path/],
      [['lowerdir=/volumes/.x/y', ...all.slice(1)], /lowerdir \/volumes\/\.x\/y is no path/],
      [[lowerdir, 'upperdir=/volumes/o/v/upper', `workdir=${work}`], /upperdir .* no folder in a volume of 'app'/],
      [[lowerdir, 'upperdir=/volumes/app/v', `workdir=${work}`], /write \/volumes\/app\/<volume>\/upper/],
      [[lowerdir, `upperdir=${upper}`, 'workdir=/volumes/app/v/../w'], /workdir .* no folder/],
      [[lowerdir, `upperdir=${upper}`, 'workdir=/volumes/app/w/work'], /two volumes/],
      [[lowerdir, `upperdir=${upper}`, `workdir=${upper}/work`], /in the other/],
      [[lowerdir, 'upperdir=/volumes/app/more.squashfs/u', 'workdir=/volumes/app/more.squashfs/w'], /nobody can write/],
    ] as const) {
      const [found, ...more] = conflicts(line(options));
      assert.match(found ?? 'none', /^1 BAD_VALUE lxc\.mount\.entry: /, options.join());
      assert.match(found ?? 'none', expected);
      assert.deepEqual([more, conflicts(line([...options, 'optional']))], [[], []]);
    }
  });

  it('are two ways to choose namespaces, which LXC refuses together', () => {
    assert.match(conflicts('lxc.namespace.keep = user\nlxc.namespace.clone = mnt')[0] ?? '', /^2 .*not both/);
    assert.deepEqual(conflicts('lxc.namespace.keep = user\nlxc.namespace.keep =\nlxc.namespace.clone = mnt'), []);
  });

  it('are no namespaces that a container may share: none of these is the machine’s to lose', () => {
    for (const name of ['pid', 'uts', 'ipc', 'cgroup', 'time'])
      assert.deepEqual(conflicts(`lxc.namespace.share.${name} = neighbour`), [], name);
    assert.deepEqual(conflicts('lxc.namespace.share.net = neighbour', { network: 'legacy' }), []);
    assert.deepEqual(conflicts('lxc.namespace.share.mnt =\nlxc.idmap ='), []);
  });

  it('are network lines beside a network block, unless both say the same', () => {
    assert.equal(conflicts('lxc.net.0.type = veth', { network: 'host' }).length, 1);
    assert.deepEqual(conflicts('lxc.net.0.type = none', { network: 'host' }), []);
    assert.deepEqual(conflicts('lxc.net.0.type = empty', { network: 'none' }), []);
    assert.deepEqual(conflicts('lxc.net.0.type = veth\nlxc.uts.name = own', { network: 'legacy' }), []);
  });

  it('never are lines that LXC is given', () => {
    const lines = [
      'lxc.uts.name = o',
      'lxc.ephemeral = 1',
      'lxc.cgroup.dir = x',
      'lxc.net.0.type = veth',
      'lxc.cap.drop = chown',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...lines), fc.constantFrom('pool', 'host', 'none', 'legacy'), (line, network) => {
        const [entry] = entriesOf(line);
        assert.ok(entry !== undefined);
        if (conflicts(line, { network }).length > 0) assert.ok(isOwned(entry, network));
      }),
    );
  });
});

describe('lxcConfig.initCommand', () => {
  const words = (text: string) => {
    const command = splitCommand(text);
    return command.ok ? command.words : command.reason;
  };

  it('is split as the stock runtime splits it', () => {
    assert.deepEqual(words('nginx "-g" "daemon off;"'), ['nginx', '-g', 'daemon off;']);
    assert.deepEqual(words('  sh -c \'a "b" c\' --opt="x y" "it\'s" a\\ b "q\\"r" ""'), [
      'sh',
      '-c',
      'a "b" c',
      '--opt=x y',
      "it's",
      'a b',
      'q"r',
    ]);
    assert.deepEqual(words(''), []);
    assert.deepEqual(words('"a"b c"d e"f "" g'), ['a', 'b', 'cd e', 'f', 'g']);
  });

  it('says what is not closed', () => {
    assert.match(String(words('sh -c "x')), /not closed/);
    assert.match(String(words('sh \\')), /backslash/);
  });

  it('is what LXC makes of it where no quotes are', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z= /-]*$/), (text) => {
        assert.deepEqual(words(text), text.split(' ').filter(Boolean));
      }),
    );
  });
});
