// args.json to run.json and lxc.container.conf, argument by argument.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readArguments, runManifest } from '../../scripts/berth/pack-arguments.ts';
import { lxcConfig } from '../../scripts/berth/pack-lxc-config.ts';
import { parseRootfsList } from '../../scripts/berth/pack-rootfs-list.ts';
import { barLine } from '../../scripts/berth/progress-bar.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';

function read(document: unknown) {
  const { args, problems } = readArguments(document, 'args.json');
  assert.deepEqual(problems, []);
  return args;
}
const manifest = (document: unknown) => runManifest('one', read(document));
const config = (document: unknown): readonly string[] => lxcConfig('one', read(document)).split('\n');

describe('args.json to run.json', () => {
  const table: readonly (readonly [object, object])[] = [
    [{ PV_NETWORK_POOL: 'internal' }, { network: { mode: 'pool', pool: 'internal' } }],
    [
      {
        PV_NETWORK_POOL: 'internal',
        PV_NETWORK_HOSTNAME: 'host',
        PV_NETWORK_IP: '10.0.5.50',
        PV_NETWORK_MAC: '02:00:0a:00:05:32',
      },
      { network: { mode: 'pool', pool: 'internal', hostname: 'host', ip: '10.0.5.50', mac: '02:00:0a:00:05:32' } },
    ],
    [{ PV_RESTART_POLICY: 'container' }, { restart_policy: 'container' }],
    [{ PV_STATUS_GOAL: 'READY' }, { status_goal: 'READY' }],
    [{ PV_STATUS_GOAL: 'STAGED' }, { status_goal: 'MOUNTED', lifecycle_goal: 'STAGED' }],
    [{ PV_LIFECYCLE_GOAL: 'STAGED' }, { status_goal: 'MOUNTED', lifecycle_goal: 'STAGED' }],
    [
      { PV_STATUS_GOAL: 'STARTED', PV_LIFECYCLE_GOAL: 'LATER' },
      { status_goal: 'STARTED', lifecycle_goal: 'LATER' },
    ],
    [{ PV_GROUP: 'app' }, { group: 'app' }],
    [{ PV_RUNLEVEL: 'data' }, { runlevel: 'data' }],
    [
      { PV_LOGS: [{ file: '/var/log/app.log', truncate: true, maxsize: 65536 }] },
      { logs: [{ file: '/var/log/app.log', truncate: true, maxsize: 65536 }] },
    ],
    [{ PV_DEV_LOG: 'no' }, { 'dev-log': false }],
    [{ PV_DEV_LOG: true }, { 'dev-log': true }],
    [{ PV_ROLES: ['mgmt'] }, { roles: ['mgmt'] }],
    [{ PV_ROLES: 'mgmt, nobody' }, { roles: ['mgmt', 'nobody'] }],
    [{ PV_AUTO_RECOVERY: { policy: 'always' } }, { auto_recovery: { policy: 'always' } }],
    [
      { PV_DRIVERS_REQUIRED: ['wifi'], PV_DRIVERS_OPTIONAL: 'usb can', PV_DRIVERS_MANUAL: [] },
      { drivers: { required: ['wifi'], optional: ['usb', 'can'], manual: [] } },
    ],
  ];
  for (const [document, expected] of table) {
    it(Object.keys(document).join(' '), () => {
      assert.deepEqual(manifest(document), { ...manifest({}), ...expected });
    });
  }

  it('says no more than is needed without arguments', () => {
    assert.deepEqual(manifest({}), {
      '#spec': 'service-manifest-run@1',
      name: 'one',
      type: 'lxc',
      config: 'lxc.container.conf',
      'root-volume': 'root.squashfs',
      storage: { 'lxc-overlay': { persistence: 'boot' } },
      volumes: [],
    });
  });
});

describe('args.json to lxc.container.conf', () => {
  it('has the lines of the stock packager', () => {
    const lines = config({});
    for (const line of [
      'lxc.rootfs.path = overlayfs:/volumes/one/root.squashfs:/volumes/one/lxc-overlay/upper',
      'lxc.namespace.keep = user net ipc',
      'lxc.init.cmd = /init',
      'lxc.mount.auto = proc sys:rw cgroup',
      'lxc.cgroup.devices.allow = a',
    ]) {
      assert.ok(lines.includes(line), line);
    }
    assert.equal(lines.filter((line) => line.startsWith('lxc.mount.entry')).length, 2);
    assert.ok(!lines.some((line) => line.startsWith('lxc.net.')));
  });

  it('leaves out the mounts that are disabled', () => {
    const mounts = (document: unknown) => config(document).filter((line) => line.startsWith('lxc.mount.entry'));
    assert.match(mounts({ PV_RUN_TMPFS_DISABLE: 'yes' }).join(), /^lxc\.mount\.entry = \/etc\/resolv\.conf [^\n]*$/);
    assert.match(mounts({ PV_RESOLV_CONF_DISABLE: true }).join(), /^lxc\.mount\.entry = tmpfs run [^\n]*$/);
    assert.equal(mounts({ PV_RUN_TMPFS_DISABLE: 'no', PV_RESOLV_CONF_DISABLE: false }).length, 2);
  });

  it('bakes the old way of networking, and then does not keep the net namespace', () => {
    const lines = config({
      PV_LXC_NETWORK_TYPE: 'veth',
      PV_LXC_NETWORK_IPV4_ADDRESS: '10.0.3.2/24',
      PV_LXC_NETWORK_IPV4_GATEWAY: '10.0.3.1',
    });
    for (const line of [
      'lxc.namespace.keep = user ipc',
      'lxc.net.0.type = veth',
      'lxc.net.0.link = lxcbr0',
      'lxc.net.0.ipv4.address = 10.0.3.2/24',
      'lxc.net.0.ipv4.gateway = 10.0.3.1',
    ]) {
      assert.ok(lines.includes(line), line);
    }
    assert.ok(config({ PV_LXC_NETWORK_TYPE: 'host' }).includes('lxc.namespace.keep = user net ipc'));
    assert.ok(config({ PV_LXC_NETWORK_TYPE: 'empty' }).includes('lxc.net.0.type = empty'));
  });

  it('takes the gateway from the bridge where an address comes without one, as the stock packager does', () => {
    const networks = (args: object) =>
      config({ PV_LXC_NETWORK_TYPE: 'veth', ...args }).filter((line) => line.includes('ipv4.gateway'));
    assert.deepEqual(networks({ PV_LXC_NETWORK_IPV4_ADDRESS: '10.0.3.2/24' }), ['lxc.net.0.ipv4.gateway = auto']);
    assert.deepEqual(networks({}), []);
  });

  it('gives a container the interface of the device that is named', () => {
    const lines = config({ PV_LXC_NETWORK_TYPE: 'phys', PV_LXC_NETWORK_LINK: 'eth1' });
    for (const line of ['lxc.net.0.type = phys', 'lxc.net.0.link = eth1']) assert.ok(lines.includes(line), line);
    const extra = { PV_LXC_NETWORK_TYPE: 'phys', PV_LXC_EXTRA_CONF: 'lxc.net.0.link=wlan0' };
    assert.ok(config(extra).includes('lxc.net.0.link=wlan0'));
    // LXC knows no `auto` for it.
    const addressed = config({ ...extra, PV_LXC_NETWORK_IPV4_ADDRESS: '10.0.3.2/24' });
    assert.ok(!addressed.some((line) => line.includes('ipv4.gateway')));
  });

  it('warns of an interface that is named for another type than phys, which takes none', () => {
    const written = { PV_LXC_NETWORK_TYPE: 'veth', PV_LXC_NETWORK_LINK: 'br0' };
    const { problems, warnings } = readArguments(written, 'args.json');
    assert.deepEqual(problems, []);
    assert.deepEqual(
      warnings.map(({ path, code }) => [path, code]),
      [['args.json.PV_LXC_NETWORK_LINK', 'ARGUMENT_UNUSED']],
    );
    assert.ok(config(written).includes('lxc.net.0.link = lxcbr0'));
  });

  it('takes extra lines, variables and capabilities, extra lines last', () => {
    const lines = config({
      PV_LXC_EXTRA_CONF: 'lxc.signal.halt = SIGTERM\nlxc.init.cmd = /sbin/init',
      PV_LXC_EXTRA_ENV: ['A=1', 'B=2 3'],
      PV_LXC_CAP_DROP: 'sys_boot,mknod',
    });
    assert.deepEqual(lines.slice(-3), ['lxc.signal.halt = SIGTERM', 'lxc.init.cmd = /sbin/init', '']);
    assert.ok(lines.includes('lxc.environment = B=2 3'));
    assert.ok(lines.includes('lxc.cap.drop = sys_boot mknod'));
  });
});

describe('arguments of the stock packager that confine a container, or open it', () => {
  /** With the lines that are there, and not without the argument. */
  const table: readonly (readonly [object, readonly string[]])[] = [
    [
      { PV_LXC_CAP_KEEP: ['NET_ADMIN', 'net_raw net_bind_service'] },
      ['lxc.cap.keep = net_admin net_raw net_bind_service'],
    ],
    [{ PV_LXC_CAP_DROP: ['SYS_ADMIN'] }, ['lxc.cap.drop = sys_admin']],
    [
      { PVR_LXC_CGROUP_DEVICES_WHITE: ['c 1:3 rwm', 'c 1:9 r'] },
      ['lxc.cgroup.devices.deny = a', 'lxc.cgroup.devices.allow = c 1:3 rwm', 'lxc.cgroup.devices.allow = c 1:9 r'],
    ],
    [
      { PVR_LXC_CGROUP_V1: ['memory.limit_in_bytes = 64M', 'cpu.shares = 100'] },
      ['lxc.cgroup.memory.limit_in_bytes = 64M', 'lxc.cgroup.cpu.shares = 100'],
    ],
    [{ PV_LXC_NAMESPACE_KEEP: 'user net' }, ['lxc.namespace.keep = user net']],
    [
      { LXC_MOUNT_AUTO_PROC: 'proc:mixed', LXC_MOUNT_AUTO_SYS: 'sys:ro', LXC_MOUNT_AUTO_GROUP: 'cgroup:ro' },
      ['lxc.mount.auto = proc:mixed sys:ro cgroup:ro'],
    ],
    [{ LXC_TTY_MAX: 1, LXC_PTY_MAX: '16' }, ['lxc.tty.max = 1', 'lxc.pty.max = 16']],
    [{ PV_LXC_DISABLE_CONSOLE: 'yes' }, ['lxc.console.path = none']],
    [{ PV_DISABLE_AUTODEV: true }, ['lxc.autodev = 0']],
    [{ PV_SECURITY_FULLDEV: 'yes' }, ['lxc.mount.entry = /dev/ dev none bind,rw,create=dir 0 0']],
    [{ PV_SECURITY_WITH_HOST: 'yes' }, ['lxc.mount.entry = / host none bind,rw,create=dir 0 0']],
    [{ PV_SECURITY_WITH_HOSTPROC: 'yes' }, ['lxc.mount.entry = /proc/ host/proc none bind,rw,create=dir 0 0']],
    [{ PV_SECURITY_WITH_STORAGE: 'yes' }, ['lxc.mount.entry = /storage storage none bind,rw,create=dir 0 0']],
    [
      { PV_FILEIMPORTS: 'two/etc/name:etc/two,/two/etc/hosts:/etc/more' },
      [
        'lxc.mount.entry = /exports/two/etc/name etc/two none bind,rw,create=file 0 0',
        'lxc.mount.entry = /exports/two/etc/hosts etc/more none bind,rw,create=file 0 0',
      ],
    ],
    [
      { PV_IMPORT_CONFIGVOLUMES: 'two:etc/two' },
      ['lxc.mount.entry = /volumes/two/one etc/two none bind,rw,create=dir,optional,noexec 0 0'],
    ],
    [
      { PV_VOLUME_MOUNTS: ['models.squashfs:opt/models'] },
      ['lxc.mount.entry = /volumes/one/models.squashfs opt/models none bind,ro,create=dir 0 0'],
    ],
    [
      { PV_RESOLV_CONF_PATH: 'run/resolv.conf' },
      ['lxc.mount.entry = /etc/resolv.conf run/resolv.conf none bind,ro,optional,create=file 0 0'],
    ],
    [
      { PV_RUN_TMPFS_PATH: 'var/run' },
      ['lxc.mount.entry = tmpfs var/run tmpfs rw,nodev,relatime,mode=755,create=dir 0 0'],
    ],
  ];
  for (const [document, expected] of table) {
    it(Object.keys(document).join(' '), () => {
      const added = config(document).filter((line) => !config({}).includes(line));
      assert.deepEqual(added, expected);
    });
  }

  it('opens no device beside those of a list', () => {
    const lines = config({ PVR_LXC_CGROUP_DEVICES_WHITE: 'c 1:3 rwm' });
    assert.ok(!lines.includes('lxc.cgroup.devices.allow = a'));
  });

  for (const name of ['PV_LXC_CAP_DORP', 'PV_SECURITY_FLAVOUR', 'PVR_LXC_CGROUP_V2', 'LXC_MOUNT_AUTO']) {
    it(`refuses ${name}, which it does not know`, () => {
      const { problems, warnings } = readArguments({ [name]: ['x'] }, 'args.json');
      assert.deepEqual(warnings, []);
      assert.deepEqual(
        problems.map(({ path, code }) => [path, code]),
        [[`args.json.${name}`, 'UNKNOWN_ARGUMENT']],
      );
    });
  }
});

describe('readArguments', () => {
  const wrong: readonly (readonly [unknown, string, string])[] = [
    [[], 'args.json', 'BAD_TYPE'],
    [{ PV_GROUP: 7 }, 'args.json.PV_GROUP', 'BAD_VALUE'],
    [{ PV_STATUS_GOAL: 'UP' }, 'args.json.PV_STATUS_GOAL', 'BAD_VALUE'],
    [{ PV_NETWORK_IP: '10.0.5.50' }, 'args.json.PV_NETWORK_IP', 'ARGUMENT_ALONE'],
    [{ PV_LXC_CAP_DROP: 'a\nlxc.init.cmd = /x' }, 'args.json.PV_LXC_CAP_DROP', 'BAD_VALUE'],
    [{ PV_LXC_CAP_KEEP: 'kill', PV_LXC_CAP_DROP: 'mknod' }, 'args.json.PV_LXC_CAP_KEEP', 'ARGUMENTS_EXCLUDE'],
    [{ PV_LXC_NETWORK_TYPE: 'phys' }, 'args.json.PV_LXC_NETWORK_TYPE', 'ARGUMENT_ALONE'],
    [{ PV_LXC_NETWORK_LINK: 'eth1' }, 'args.json.PV_LXC_NETWORK_LINK', 'ARGUMENT_ALONE'],
    [{ PV_LOGS: '/var/log/app.log' }, 'args.json.PV_LOGS', 'BAD_VALUE'],
    [{ PV_FILEIMPORTS: 'two/etc/name' }, 'args.json.PV_FILEIMPORTS', 'BAD_VALUE'],
    [{ PV_RUN_TMPFS_PATH: 'run tmpfs' }, 'args.json.PV_RUN_TMPFS_PATH', 'BAD_VALUE'],
    [{ LXC_TTY_MAX: 'many' }, 'args.json.LXC_TTY_MAX', 'BAD_VALUE'],
    [{ PV_LXC_EXTRA_ENV: ['A=1\nlxc.init.cmd = /x'] }, 'args.json.PV_LXC_EXTRA_ENV', 'BAD_VALUE'],
  ];
  for (const [document, path, code] of wrong) {
    it(`answers ${code} for ${JSON.stringify(document)}`, () => {
      const { problems } = readArguments(document, 'args.json');
      assert.deepEqual(
        problems.map((problem) => [problem.path, problem.code]),
        [[path, code]],
      );
    });
  }

  const unknown: readonly (readonly [string, string | undefined])[] = [
    ['PV_NETWROK_POOL', 'PV_NETWORK_POOL'],
    ['PV_POOL', 'PV_NETWORK_POOL'],
    ['pv_group', 'PV_GROUP'],
    ['PV_DEBUG_MODE', undefined],
    ['PV_', undefined],
    ['constructor', undefined],
    ['', undefined],
  ];
  for (const [name, nearest] of unknown) {
    it(`passes over '${name}' with a warning that names ${nearest ?? 'no other'}`, () => {
      const { args, problems, warnings } = readArguments({ [name]: 7, PV_GROUP: 'app' }, 'args.json');
      assert.deepEqual([args, problems], [{ PV_GROUP: 'app' }, []]);
      const meant = nearest === undefined ? '' : `; the nearest is ${nearest}`;
      const message = `is no argument that berth pack knows, and is left out${meant}`;
      assert.deepEqual(warnings, [{ path: `args.json.${name}`, code: 'UNKNOWN_ARGUMENT', message }]);
    });
  }

  it('never throws, and no value but PV_LXC_EXTRA_* adds a key of its own to the configuration', () => {
    const names = [
      'PV_GROUP',
      'PV_NETWORK_POOL',
      'PV_NETWORK_HOSTNAME',
      'PV_LXC_CAP_DROP',
      'PV_LXC_NETWORK_IPV4_ADDRESS',
    ];
    const value = fc.oneof(
      fc.string(),
      fc.string().map((text) => `${text}\nlxc.init.cmd = ${text}`),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), value), (document) => {
        const { args } = readArguments(document, 'args.json');
        const parsed = parseLxcConfig(lxcConfig('one', args), 'conf');
        assert.equal(parsed.entries.filter(({ key }) => key === 'lxc.init.cmd').length, 1);
      }),
    );
  });
});

describe('parseRootfsList', () => {
  it('reads files, folders and links, and passes over blanks and comments', () => {
    const { entries, problems } = parseRootfsList('# a\n\nfile /a b|c 4755\ndir /d\nlink /l ../x\n', 'list');
    assert.deepEqual(problems, []);
    assert.deepEqual(entries, [
      { kind: 'file', path: '/a', sources: ['b', 'c'], mode: 0o4755, line: 3 },
      { kind: 'dir', path: '/d', mode: 0o755, line: 4 },
      { kind: 'link', path: '/l', target: '../x', line: 5 },
    ]);
  });

  const wrong: readonly (readonly [string, string])[] = [
    ['copy /a b', 'BAD_ENTRY'],
    ['file /a', 'BAD_ENTRY'],
    ['link /a b 0755', 'BAD_ENTRY'],
    ['file a b', 'BAD_PATH'],
    ['dir /a/../b', 'BAD_PATH'],
    ['dir /a/', 'BAD_PATH'],
    ['file /a b rwx', 'BAD_MODE'],
    ['dir /a 0999', 'BAD_MODE'],
    ['dir /a\ndir /a', 'DUPLICATE_ENTRY'],
    ['dir /a/b\nlink /a x', 'DUPLICATE_ENTRY'],
    ['link /a /etc\nfile /a/b c', 'BELOW_LINK'],
  ];
  for (const [text, code] of wrong) {
    it(`answers ${code} for ${JSON.stringify(text)}`, () => {
      assert.deepEqual(
        parseRootfsList(text, 'list').problems.map((problem) => problem.code),
        [code],
      );
    });
  }
});

describe('barLine', () => {
  it('fills as it goes and stays within its bounds', () => {
    assert.match(barLine('one', 0.5, 1, 2), /^\[1\/2\] one {2}█{15}░{15} {2}50%$/);
    assert.match(barLine('one', 7, 2, 2), /█{30} 100%$/);
  });
});
