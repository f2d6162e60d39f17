// The state JSON as a whole: keys, paths, objects, and what a mistake in one place leaves of the rest.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseState } from '../../shared/revision/validate.ts';
import { container, DEVICE, DIGEST, parse, problems, revisionOf, state, warnings } from './states.ts';

describe('revision.parseState', () => {
  it('fills in every default of a container that says nothing', () => {
    const { containers, pools, objects } = revisionOf(state(container('b'), container('a')));
    assert.deepEqual(
      containers.map(({ name }) => name),
      ['a', 'b'],
    );
    assert.deepEqual(containers[1], {
      name: 'b',
      group: 'platform',
      statusGoal: 'STARTED',
      restartPolicy: 'system',
      roles: ['nobody'],
      rootVolume: 'root.squashfs',
      bases: [],
      config: 'lxc.container.conf',
      storage: {
        squashfs: [],
        volumes: [{ name: 'lxc-overlay', persistence: 'boot' }],
        disks: [],
        exports: [],
      },
      hostname: 'b',
      drivers: { required: [], optional: [], manual: [] },
      deviceRules: undefined,
      devLog: undefined,
      automodfw: true,
      remounts: [],
      logFiles: [
        { path: '/var/log/syslog', truncateBytes: 2 * 1024 * 1024 },
        { path: '/var/log/messages', truncateBytes: 2 * 1024 * 1024 },
      ],
      network: { mode: 'legacy' },
      autoRecovery: undefined,
    });
    assert.deepEqual(pools[1], { ...DEVICE.network.pools.lab, name: 'lab', nat: false });
    assert.equal(objects.get('a/root.squashfs'), DIGEST);
  });

  it('takes what a container says over what its group says', () => {
    const run = {
      group: 'app',
      status_goal: 'READY',
      restart_policy: 'system',
      roles: ['mgmt'],
      'root-volume': 'dm:root.squashfs',
      storage: { 'lxc-overlay': { persistence: 'permanent' } },
      network: { pool: 'internal', hostname: 'front.local' },
    };
    const [plan] = revisionOf(state(container('a', run))).containers;
    assert.equal(plan?.statusGoal, 'READY');
    assert.equal(plan?.restartPolicy, 'system');
    assert.deepEqual(plan?.roles, ['mgmt']);
    assert.equal(plan?.rootVolume, 'root.squashfs');
    assert.deepEqual(plan?.storage.volumes, [{ name: 'lxc-overlay', persistence: 'permanent' }]);
    assert.equal(plan?.hostname, 'front.local');
    assert.equal(plan?.autoRecovery?.maxRetries, 5);
  });

  it('keeps keys that it does not know, and lists them', () => {
    const { ignored } = revisionOf(
      state(container('a', { extra: 1, network: { pool: 'lab', wifi: {} } }), {
        'device.json': { ...DEVICE, vendor: 'x' },
        'a/src.json': {},
        'README.md': DIGEST,
        '_config/a/etc/motd': DIGEST,
      }),
    );
    assert.deepEqual(ignored, [
      'README.md',
      'a/src.json',
      'device.json.vendor',
      'a/run.json.extra',
      'a/run.json.network.wifi',
    ]);
  });

  for (const [name, path] of Object.entries({
    'a ".." part': '../../etc/passwd',
    'a ".." part inside': 'a/../../etc/passwd',
    'an absolute path': '/etc/passwd',
    'an empty part': 'a//b',
    'an empty path': '',
    'a trailing slash': 'a/b/',
    'a "." part': './a',
    'a path in the checkout’s own .pvr/': '.pvr/json',
    'a path in the checkout’s own .pv/': '.pv/progress',
    'a name longer than a file name may be': 'x'.repeat(256),
  })) {
    it(`refuses ${name}`, () => assert.deepEqual(problems(state({ [path]: DIGEST })), [`${path} BAD_PATH`]));
  }

  it('refuses a path that leaves no room for the storage’s own in front of it', () => {
    const long = 'é/'.repeat(682);
    assert.equal(Buffer.byteLength(long), 2046);
    assert.deepEqual(problems(state({ [`${long}ab`]: DIGEST })), []);
    const parsed = parse(state({ [`${long}abc`]: DIGEST }));
    assert.deepEqual(parsed.ok || parsed.problems.map(({ code }) => code), ['BAD_PATH']);
    assert.match(parsed.ok ? '' : (parsed.problems[0]?.message ?? ''), /has 2049 bytes; a path has at most 2048$/);
  });

  it('refuses a NUL in a path and says so on one line', () => {
    assert.deepEqual(problems(state({ 'a\0b\nc': DIGEST })), ['a\\u0000b\\u000ac BAD_PATH']);
  });

  it('refuses what is a file and a folder at once', () => {
    assert.deepEqual(problems(state({ 'x/y': DIGEST, 'x/y/z': DIGEST })), ['x/y/z PATH_CONFLICT']);
    const beside = { x: DIGEST, 'x-': DIGEST, 'x-/y': DIGEST, 'x.y': DIGEST, 'x/y/z': DIGEST, 'xy/z': DIGEST };
    assert.deepEqual(problems(state(beside)), ['x/y/z PATH_CONFLICT', 'x-/y PATH_CONFLICT']);
  });

  it('refuses values that are neither a document nor a sha256', () => {
    const found = problems(state({ a: 1, b: 'abc', c: null, d: DIGEST.toUpperCase(), e: true }));
    assert.deepEqual(
      found,
      ['a', 'b', 'c', 'd', 'e'].map((path) => `${path} BAD_VALUE`),
    );
  });

  it('refuses another #spec and a state that is no object', () => {
    assert.deepEqual(problems(state({ '#spec': 'pantavisor-service-system@2' })), ['#spec BAD_SPEC']);
    for (const document of [undefined, null, [], 'x', 3]) assert.deepEqual(problems(document), ['state BAD_STATE']);
  });

  it('refuses known documents that are objects', () => {
    assert.deepEqual(problems(state({ 'device.json': DIGEST })), ['device.json BAD_TYPE']);
    assert.deepEqual(problems(state({ 'bsp/drivers.json': DIGEST })), ['bsp/drivers.json BAD_TYPE']);
    assert.deepEqual(problems(state({ 'a/run.json': DIGEST })), ['a/run.json BAD_TYPE']);
  });

  it('warns once of containers without roles in a revision of a Pantavisor device, where these would be mgmt', () => {
    const containers = [
      container('a', { roles: ['mgmt'] }),
      container('b'),
      container('c', { roles: [] }),
      container('d'),
      container('e', { status_goal: 'MOUNTED' }),
    ];
    assert.deepEqual(warnings(state(...containers)), []);
    const device = state({ 'bsp/run.json': { linux: 'kernel.img' } }, ...containers);
    assert.deepEqual(warnings(device), ['b/run.json.roles MISSING']);
    const parsed = parse(device);
    assert.match(parsed.ok ? (parsed.warnings[0]?.message ?? '') : '', /So for: b, d$/);
    assert.deepEqual(
      revisionOf(device).containers.map(({ roles }) => roles.join()),
      ['mgmt', 'nobody', 'nobody', 'nobody', 'nobody'],
    );
  });

  it('refuses bsp documents of another shape', () => {
    const found = problems(state({ 'bsp/run.json': { linux: 3 }, 'bsp/drivers.json': { all: { wifi: 'ath9k' } } }));
    assert.deepEqual(found, ['bsp/run.json.linux BAD_TYPE', 'bsp/drivers.json.all.wifi BAD_TYPE']);
  });

  it('refuses container names that cannot be folders of LXC', () => {
    for (const name of ['-a', 'a b', 'é', 'x'.repeat(64)]) {
      assert.deepEqual(problems(state(container(name))), [`${name}/run.json BAD_NAME`]);
    }
  });

  it('refuses a container with the name of Berth’s own logs, which it would read', () => {
    assert.deepEqual(problems(state(container('pantavisor'))), ['pantavisor/run.json RESERVED_NAME']);
  });

  it('refuses a container whose files the state does not have', () => {
    const run = { config: 'other.conf', 'root-volume': 'dm:other.squashfs', volumes: ['dm:more.squashfs'] };
    assert.deepEqual(problems(state(container('a', run))), [
      'a/other.squashfs MISSING_OBJECT',
      'a/more.squashfs MISSING_OBJECT',
      'a/other.conf MISSING_OBJECT',
    ]);
  });

  it('takes firmware and modules from a container that says no, and from none other', () => {
    const said = ['no', false, 'yes', true, 'never', undefined];
    const written = said.map((automodfw, index) => container(`c${index}`, { automodfw }));
    assert.deepEqual(
      revisionOf(state(...written)).containers.map(({ automodfw }) => automodfw),
      [false, false, true, true, true, true],
    );
  });

  it('names what is missing, wrong and allowed in run.json', () => {
    const parsed = parse(state({ ...container('a', { status_goal: 'RUNNING', 'dev-log': 1, config: '../x' }) }));
    assert.equal(parsed.ok, false);
    assert.deepEqual(parsed.ok ? [] : parsed.problems, [
      {
        path: 'a/run.json.config',
        code: 'BAD_VALUE',
        message: 'is "../x"; must be a file name in the container’s folder',
      },
      {
        path: 'a/run.json.status_goal',
        code: 'BAD_VALUE',
        message: 'is "RUNNING"; must be "MOUNTED" or "STARTED" or "READY"',
      },
      { path: 'a/run.json.dev-log', code: 'BAD_TYPE', message: 'is 1; must be of type boolean' },
    ]);
    assert.deepEqual(problems(state({ 'a/run.json': {}, 'a/lxc.container.conf': DIGEST })), [
      'a/run.json.#spec MISSING',
      'a/run.json.root-volume MISSING',
    ]);
  });

  it('finds all mistakes of all documents at once', () => {
    const broken = state(
      {
        'device.json': { disks: 3, network: { pools: { internal: { bridge: 'br0; reboot', subnet: 7, nat: 'yes' } } } },
      },
      container('a', { roles: ['root'], group: 'nope', network: { pool: 'does-not-exist' } }),
      container('b', { network: { pool: 'internal', ip: 'x', mac: '01:00:00:00:00:01' } }),
      { '../x': DIGEST },
    );
    assert.deepEqual([...problems(broken)].sort(), [
      '../x BAD_PATH',
      'a/run.json.group UNKNOWN_GROUP',
      'a/run.json.network.pool UNKNOWN_POOL',
      'a/run.json.roles.0 BAD_VALUE',
      'b/run.json.network.ip BAD_ADDRESS',
      'b/run.json.network.mac BAD_MAC',
      'device.json.disks BAD_TYPE',
      'device.json.network.pools.internal.bridge BAD_BRIDGE',
      'device.json.network.pools.internal.gateway MISSING',
      'device.json.network.pools.internal.nat BAD_TYPE',
      'device.json.network.pools.internal.subnet BAD_TYPE',
    ]);
  });

  it('warns of a name that is not the folder’s', () => {
    assert.deepEqual(warnings(state(container('a', { name: 'other' }))), ['a/run.json.name NAME_DIFFERS']);
  });

  it('plans the files of a container that are part of its log: two of every container, and those of `logs`', () => {
    const logs = [
      { file: '/var/log/app.log', name: 'app', truncate: 'true', maxsize: '65536' },
      { file: '/var/log/messages', truncate: 'false' },
      { file: '/run/small.log', truncate: true, maxsize: 1 },
      { console: 'enable' },
    ];
    assert.deepEqual(revisionOf(state(container('a', { logs }))).containers[0]?.logFiles, [
      { path: '/var/log/syslog', truncateBytes: 2 * 1024 * 1024 },
      { path: '/var/log/messages' },
      { path: '/var/log/app.log', truncateBytes: 65536 },
      { path: '/run/small.log', truncateBytes: 4096 },
    ]);
    assert.deepEqual(warnings(state(container('a', { logs }))), []);
    assert.deepEqual(warnings(state(container('a', { logs: [{ lxc: 'disable' }] }))), [
      'a/run.json.logs[0].lxc NOT_SUPPORTED',
    ]);
  });

  it('refuses paths of log files that could mean another file, and too many', () => {
    const refused = (file: unknown) => problems(state(container('a', { logs: [{ file }] })));
    for (const file of [
      'var/log/a',
      '/var/../etc/shadow',
      '/var//log',
      '/',
      '/a/',
      '/a\nb',
      7,
      `/${'a'.repeat(255)}`,
    ]) {
      assert.match(refused(file).join(), /^a\/run\.json\.logs\.0\.file BAD_/, String(file));
    }
    const many = Array.from({ length: 31 }, (_, at) => ({ file: `/a${at}` }));
    assert.deepEqual(problems(state(container('a', { logs: many }))), ['a/run.json.logs BAD_VALUE']);
  });

  it('asks for configurations with path and digest', () => {
    const asked: string[] = [];
    parseState(state(container('a')), (path, sha256) => {
      asked.push(path, sha256);
      return '';
    });
    assert.deepEqual(asked, ['a/lxc.container.conf', DIGEST]);
  });

  it('makes a host name of any container’s name', () => {
    const names = ['a_b', 'a..b', 'a.b', 'a-', 'x_'];
    const { containers } = revisionOf(state(...names.map((name) => container(name))));
    const hostnames = Object.fromEntries(containers.map(({ name, hostname }) => [name, hostname]));
    assert.deepEqual(hostnames, { a_b: 'a-b', 'a..b': 'a-b', 'a.b': 'a.b', 'a-': 'a', x_: 'x' });
  });
});
