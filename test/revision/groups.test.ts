// Groups, disks and recovery: defaults, own ones, and who is in which.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDevice } from '../../shared/revision/validate.ts';
import { container, DEVICE, parse, problems, revisionOf, short, state, warnings } from './states.ts';

const groupsOf = (document: unknown): object =>
  Object.fromEntries(revisionOf(document).containers.map(({ name, group }) => [name, group]));
const named = (name: string, group: string) => container(name, { group });
const withoutDevice = (document: object) =>
  Object.fromEntries(Object.entries(document).filter(([key]) => key !== 'device.json'));
const own = (groups: unknown) => ({ 'device.json': { ...DEVICE, groups } });

describe('revision.groups', () => {
  it('has the four default groups when nobody defines any', () => {
    for (const document of [state(), state(own([])), state({ 'groups.json': [] })]) {
      const { groups } = revisionOf(document);
      assert.deepEqual(
        groups.map((group) => [group.name, group.statusGoal, group.restartPolicy, group.timeoutSeconds]),
        [
          ['data', 'MOUNTED', 'system', 30],
          ['root', 'STARTED', 'system', 30],
          ['platform', 'STARTED', 'system', 30],
          ['app', 'STARTED', 'container', 30],
        ],
      );
      assert.deepEqual(
        groups.map(({ autoRecovery }) => autoRecovery),
        [
          undefined,
          undefined,
          undefined,
          {
            policy: 'on-failure',
            maxRetries: 5,
            retryDelaySeconds: 5,
            backoffFactor: 2,
            resetWindowSeconds: 0,
            stableTimeoutSeconds: 30,
            backoffPolicy: 'reboot',
          },
        ],
      );
    }
  });

  it('warns of a recovery that says how, and not whether: it means no', () => {
    const recovered = (auto_recovery: object) => container('a', { group: 'app', auto_recovery });
    for (const how of [{ max_retries: 3 }, { retry_delay: 1, stable_timeout: 1 }, { backoff_policy: 'never' }]) {
      const document = state(recovered(how));
      assert.deepEqual(warnings(document), ['a/run.json.auto_recovery MISSING']);
      assert.equal(revisionOf(document).containers[0]?.autoRecovery?.policy, 'no');
    }
    const groups = [{ name: 'app' }, { name: 'one', auto_recovery: { max_retries: 3 } }];
    assert.deepEqual(warnings(state(own(groups), named('a', 'app'))), ['device.json.groups.1.auto_recovery MISSING']);
    assert.deepEqual(warnings(state({ 'groups.json': groups }, named('a', 'app'))), [
      'groups.json.1.auto_recovery MISSING',
    ]);
    // Of an update: how long it must live without recovery.
    for (const sound of [{}, { stable_timeout: 5 }, { policy: 'no', max_retries: 3 }]) {
      assert.deepEqual(warnings(state(recovered(sound))), []);
    }
  });

  it('puts the first that names no group into root, unless somebody names root', () => {
    assert.deepEqual(groupsOf(state(container('b'), container('a'), container('c'))), {
      a: 'root',
      b: 'platform',
      c: 'platform',
    });
    assert.deepEqual(groupsOf(state(container('a'), named('b', 'root'))), { a: 'platform', b: 'root' });
    assert.deepEqual(groupsOf(state(named('a', 'app'), container('b'))), { a: 'app', b: 'root' });
  });

  it('does so with groups of the same four names, as board supports bring them', () => {
    const four = [
      { name: 'data', restart_policy: 'system', status_goal: 'MOUNTED' },
      { name: 'root', restart_policy: 'system', status_goal: 'STARTED' },
      { name: 'platform', restart_policy: 'system', status_goal: 'STARTED' },
      { name: 'app', restart_policy: 'container', status_goal: 'STARTED' },
    ];
    const three = [named('a', 'root'), container('b'), container('c')];
    for (const device of [{ 'groups.json': four }, own(four)]) {
      assert.deepEqual(groupsOf(state(device, ...three)), { a: 'root', b: 'platform', c: 'platform' });
    }
    for (const others of [four.slice(1), four.toReversed()]) {
      assert.deepEqual(problems(state(own(others), ...three)), [
        'b/run.json.group GROUP_MISSING',
        'c/run.json.group GROUP_MISSING',
      ]);
    }
  });

  it('takes a goal of another version where it is known, and says which one counts where not', () => {
    const goals = (document: object) =>
      Object.fromEntries(revisionOf(document).containers.map(({ name, statusGoal }) => [name, statusGoal]));
    const goal = (name: string, lifecycle_goal: unknown, run: object = {}) =>
      container(name, { group: 'app', lifecycle_goal, ...run });
    const known = state(goal('a', 'READY', { status_goal: 'STARTED' }), goal('b', 'MOUNTED'));
    assert.deepEqual(goals(known), { a: 'READY', b: 'MOUNTED' });
    assert.deepEqual(warnings(known), []);
    const staged = state(goal('a', 'STAGED', { status_goal: 'MOUNTED' }), goal('b', 'LATER'), goal('c', { x: 1 }));
    assert.deepEqual(goals(staged), { a: 'MOUNTED', b: 'STARTED', c: 'STARTED' });
    assert.deepEqual(
      warnings(staged),
      ['a', 'b', 'c'].map((name) => `${name}/run.json.lifecycle_goal NOT_SUPPORTED`),
    );
    const refused = state(container('a', { group: 'app', status_goal: 'STAGED' }));
    assert.deepEqual(problems(refused), ['a/run.json.status_goal BAD_VALUE']);
  });

  it('takes a runlevel for the group where none is named', () => {
    const level = (name: string, runlevel: string, run: object = {}) => container(name, { runlevel, ...run });
    assert.deepEqual(groupsOf(state(level('a', 'app'), level('b', 'root'), container('c'))), {
      a: 'app',
      b: 'root',
      c: 'platform',
    });
    const both = state(level('a', 'data', { group: 'app' }), level('b', 'x', { group: 'app' }));
    assert.deepEqual(groupsOf(both), { a: 'app', b: 'app' });
    assert.deepEqual(warnings(both), []);
    const wrong = state(level('a', '3'), level('b', 'data'));
    assert.deepEqual(
      [groupsOf(wrong), warnings(wrong)],
      [{ a: 'root', b: 'data' }, ['a/run.json.runlevel NOT_SUPPORTED']],
    );
    const others = own([{ name: 'root' }, { name: 'last' }]);
    assert.deepEqual(groupsOf(state(others, level('a', 'root'))), { a: 'root' });
    assert.deepEqual(problems(state(others, level('a', 'app'), level('b', '3'))), [
      'a/run.json.runlevel UNKNOWN_GROUP',
      'b/run.json.group GROUP_MISSING',
    ]);
  });

  it('wants a group of every container when there are own ones', () => {
    const groups = [{ name: 'first', status_goal: 'READY', timeout: 5, restart_policy: 'container' }, { name: 'last' }];
    assert.deepEqual(problems(state(own(groups), container('a'), named('b', 'platform'), named('c', 'last'))), [
      'a/run.json.group GROUP_MISSING',
      'b/run.json.group UNKNOWN_GROUP',
    ]);
    const [plan] = revisionOf(state(own(groups), named('a', 'first'))).containers;
    assert.deepEqual([plan?.statusGoal, plan?.restartPolicy], ['READY', 'container']);
  });

  it('lets containers of an own group that names no restart policy be restarted one by one', () => {
    for (const document of [own([{ name: 'one' }]), { 'groups.json': [{ name: 'one' }] }]) {
      const { groups, containers } = revisionOf(state(document, named('a', 'one')));
      assert.deepEqual([groups[0]?.restartPolicy, containers[0]?.restartPolicy], ['container', 'container']);
    }
  });

  it('reads groups.json, and leaves it out beside groups of device.json', () => {
    const older = { 'groups.json': [{ name: 'old' }] };
    assert.deepEqual(groupsOf(state(older, named('a', 'old'))), { a: 'old' });
    assert.deepEqual(warnings(state(older, named('a', 'old'))), []);
    const both = state(older, own([{ name: 'new' }]), named('a', 'new'));
    assert.deepEqual(groupsOf(both), { a: 'new' });
    assert.deepEqual(warnings(both), ['groups.json LEFT_OUT']);
  });

  it('reads disks.json, and leaves it out beside a device.json, whatever that has', () => {
    const disk = { name: 'd', type: 'volume-disk', path: '/storage/x', default: 'yes' };
    const older = { 'disks.json': [disk, { name: 'e', type: 'volume-disk' }] };
    const disksOf = (document: object) =>
      revisionOf(document).disks.map(({ disk: { name }, path }) => `${name} ${path}`);
    const volume = container('a', { storage: { var: { persistence: 'permanent' } } });
    const alone = withoutDevice(state(older, volume));
    assert.deepEqual(disksOf(alone), ['d disks.json.0', 'e disks.json.1']);
    assert.equal(revisionOf(alone).containers[0]?.storage.volumes[1]?.disk, 'd');
    assert.deepEqual(warnings(alone), []);
    for (const [disks, found] of [
      [undefined, []],
      [[disk], ['d device.json.disks.0']],
      [[{ ...disk, name: 'f' }], ['f device.json.disks.0']],
    ] as const) {
      const both = state({ 'device.json': { ...DEVICE, disks } }, older, volume);
      assert.deepEqual(disksOf(both), found);
      assert.equal(revisionOf(both).containers[0]?.storage.volumes[1]?.disk, disks?.[0].name);
      assert.deepEqual(warnings(both), ['disks.json LEFT_OUT']);
    }
    // Nobody reads it: a mistake in it is nobody's problem.
    assert.deepEqual(problems(state({ 'disks.json': { name: 7 } }, volume)), []);
  });

  it('keeps of a disks.json beside a device.json what volumes name, and nothing else', () => {
    const folder = (name: string, more: object = {}) => ({
      name,
      type: 'volume-disk',
      path: `/storage/${name}`,
      ...more,
    });
    const older = { 'disks.json': [folder('spare'), folder('d', { default: 'yes' }), folder('e', { aliases: ['f'] })] };
    const storage = { a: { persistence: 'permanent', disk: 'd' }, b: { persistence: 'permanent', disk: 'f' }, c: {} };
    const both = (disks: object[]) =>
      state({ 'device.json': { ...DEVICE, disks } }, older, container('a', { storage }));
    const { disks, containers } = revisionOf(both([]));
    assert.deepEqual(
      disks.map(({ disk: { name }, path }) => `${name} ${path}`),
      ['d disks.json.1', 'e disks.json.2'],
    );
    const on = containers[0]?.storage.volumes.map(({ name, disk }) => `${name} ${disk}`);
    assert.deepEqual(on?.slice(-3), ['a d', 'b e', 'c undefined']);
    assert.deepEqual(warnings(both([])), ['disks.json LEFT_OUT']);
    const own = revisionOf(both([folder('d', { path: '/storage/own' })]));
    assert.deepEqual(
      own.disks.map(({ disk: { name }, path }) => `${name} ${path}`),
      ['d device.json.disks.0', 'e disks.json.2'],
    );
    // A name of one of its own is no name of another.
    assert.deepEqual(problems(both([folder('x', { aliases: ['d'] })])), []);
  });

  it('names mistakes in groups and disks by their place', () => {
    assert.deepEqual(problems(state(own([{ name: 'g' }, { name: 'g' }, { timeout: -1 }]))).toSorted(), [
      'device.json.groups.1.name DUPLICATE_GROUP',
      'device.json.groups.2.name MISSING',
      'device.json.groups.2.timeout BAD_VALUE',
    ]);
    const disks = [{ name: 'd', type: 'volume-disk' }, { name: 'd', type: 'floppy' }, { default: true }];
    const document = withoutDevice(state({ 'groups.json': [{ name: 3 }], 'disks.json': disks }));
    assert.deepEqual(problems(document).toSorted(), [
      'disks.json.1.name DUPLICATE_DISK',
      'disks.json.1.type BAD_VALUE',
      'disks.json.2.default BAD_VALUE',
      'disks.json.2.name MISSING',
      'disks.json.2.type MISSING',
      'groups.json.0.name BAD_TYPE',
    ]);
  });

  it('refuses a volume on a disk that does not exist', () => {
    const device = { 'device.json': { ...DEVICE, disks: [{ name: 'data', type: 'volume-disk', default: 'yes' }] } };
    const on = (disk: string) => container('a', { storage: { var: { persistence: 'permanent', disk } } });
    assert.deepEqual(problems(state(device, on('data'))), []);
    assert.deepEqual(problems(state(device, on('dada'))), ['a/run.json.storage.var.disk UNKNOWN_DISK']);
  });

  it('fills what a recovery leaves out as Pantavisor does, and not with what the app group has', () => {
    const written = { policy: 'on-failure' };
    const filled = {
      policy: 'on-failure',
      maxRetries: 0,
      retryDelaySeconds: 0,
      backoffFactor: 1,
      resetWindowSeconds: 0,
      stableTimeoutSeconds: 0,
      backoffPolicy: 'reboot',
    };
    const alone = revisionOf(state(container('a', { group: 'app', auto_recovery: written })));
    assert.deepEqual(alone.containers[0]?.autoRecovery, filled);
    const group = revisionOf(state(own([{ name: 'one', auto_recovery: written }]), named('a', 'one')));
    assert.deepEqual([group.groups[0]?.autoRecovery, group.containers[0]?.autoRecovery], [filled, filled]);
  });

  it('warns of a recovery that tries at once and without end because nobody said how often', () => {
    const warned = (auto_recovery: object) => warnings(state(container('a', { group: 'app', auto_recovery })));
    assert.deepEqual(warned({ policy: 'always' }), ['a/run.json.auto_recovery.retry_delay MISSING']);
    const chosen = [{ max_retries: 3 }, { retry_delay: 5 }, { max_retries: 0, retry_delay: 0 }];
    for (const how of chosen) assert.deepEqual(warned({ policy: 'always', ...how }), []);
  });

  it('replaces a group’s recovery as a whole by a container’s own', () => {
    const run = { group: 'app', auto_recovery: { policy: 'always', max_retries: 0, backoff_policy: '10min' } };
    const [plan] = revisionOf(state(container('a', run))).containers;
    assert.equal(plan?.autoRecovery?.policy, 'always');
    assert.equal(plan?.autoRecovery?.maxRetries, 0);
    assert.equal(plan?.autoRecovery?.backoffPolicy, '10min');
    const bad = { auto_recovery: { policy: 'sometimes', max_retries: -1, backoff_policy: '10 minutes' } };
    assert.deepEqual(
      problems(state(container('a', bad))),
      ['policy', 'max_retries', 'backoff_policy'].map((key) => `a/run.json.auto_recovery.${key} BAD_VALUE`),
    );
  });
});

describe('revision.parseDevice', () => {
  it('finds nothing wrong with a sound device.json and with an empty one', () => {
    for (const document of [{}, DEVICE]) assert.deepEqual(parseDevice(document), []);
  });

  it('finds every mistake of a malformed one', () => {
    const pools = {
      a: { bridge: 'br0; reboot', subnet: '10.0.5.7/24', gateway: 'x', nat: 'yes' },
      b: [],
      c: { type: 'macvlan', parent: 'eth0; reboot', subnet: '10.1.0.0/24', gateway: '10.1.0.1', nat: true },
    };
    assert.deepEqual(parseDevice({ network: { pools }, groups: {} }).map(short), [
      'device.json.groups BAD_TYPE',
      'device.json.network.pools.a.nat BAD_TYPE',
      'device.json.network.pools.b BAD_TYPE',
      'device.json.network.pools.c.nat NAT_ON_MACVLAN',
      'device.json.network.pools.a.bridge BAD_BRIDGE',
      'device.json.network.pools.a.subnet SUBNET_HOST_BITS',
      'device.json.network.pools.a.gateway BAD_GATEWAY',
      'device.json.network.pools.c.parent BAD_BRIDGE',
    ]);
    for (const document of [undefined, null, 3, 'x', []]) {
      assert.deepEqual(parseDevice(document).map(short), ['device.json BAD_TYPE']);
    }
  });

  it('refuses the link of the other type, and says what to do', () => {
    const subnet = { subnet: '10.1.0.0/24', gateway: '10.1.0.1' };
    const pools = {
      a: { type: 'macvlan', parent: 'eth0', bridge: 'br0', ...subnet },
      b: { bridge: 'br1', parent: 'eth0', subnet: '10.2.0.0/24', gateway: '10.2.0.1' },
    };
    const found = parseDevice({ network: { pools } });
    assert.deepEqual(found.map(short), [
      'device.json.network.pools.a.bridge WRONG_LINK_KEY',
      'device.json.network.pools.b.parent WRONG_LINK_KEY',
    ]);
    assert.match(found[0]?.message ?? '', /remove 'bridge', or set "type": "bridge"$/);
    assert.match(found[1]?.message ?? '', /remove 'parent', or set "type": "macvlan"$/);
  });

  it('says of a macvlan pool with NAT and without a parent what a parent is for', () => {
    const pools = { a: { type: 'macvlan', subnet: '10.1.0.0/24', gateway: '10.1.0.1', nat: true } };
    const found = parseDevice({ network: { pools } });
    assert.deepEqual(found.map(short), [
      'device.json.network.pools.a.parent MISSING',
      'device.json.network.pools.a.nat NAT_ON_MACVLAN',
    ]);
    assert.match(found[1]?.message ?? '', /in the network of its parent itself, without NAT$/);
  });

  it('checks pools against each other', () => {
    const pools = {
      a: { bridge: 'br0', subnet: '10.0.0.0/16', gateway: '10.0.0.1' },
      b: { bridge: 'br0', subnet: '10.0.5.0/24', gateway: '10.0.6.1' },
    };
    assert.deepEqual(parseDevice({ network: { pools } }).map(short), [
      'device.json.network.pools.b.gateway GATEWAY_OUTSIDE',
      'device.json.network.pools.b.bridge DUPLICATE_BRIDGE',
      'device.json.network.pools.b.subnet OVERLAPPING_SUBNETS',
    ]);
  });

  it('keeps messages to one line whatever a name holds', () => {
    const parsed = parse(state({ 'device.json': { network: { pools: { 'a\n\u001b[2J': {} } } } }));
    for (const { path, message } of parsed.ok ? [] : parsed.problems) assert.doesNotMatch(path + message, /\p{Cc}/u);
    assert.equal(parsed.ok, false);
  });
});
