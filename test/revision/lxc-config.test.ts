import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { container, DIGEST, parse, problems, revisionOf, state } from './states.ts';

const APP = container('app', { group: 'app' });
const CONF = 'app/lxc.container.conf';

describe('an LXC configuration in a revision', () => {
  it('is refused with container, file and line of what LXC or Berth would refuse', () => {
    const text = 'lxc.tty.max = 4\nlxc.utsname = a\nlxc.cgroup.dir = x\nlxc.init.cmd = sh -c "x\nlxc.nonsense';
    assert.deepEqual(problems(state(APP), { [CONF]: text }), [
      `${CONF}:5 BAD_CONFIG`,
      `${CONF}:4 BAD_CONFIG`,
      `${CONF}:2 UNKNOWN_KEY`,
      `${CONF}:3 OWNED_KEY`,
    ]);
  });

  it('is refused with the lines whose values LXC would refuse, which names none', () => {
    const text =
      'lxc.cap.drop = sys_admin foo\nlxc.cap.drop =\nlxc.signal.halt = SIGFOO\nlxc.prlimit.foo = 1\nlxc.mount.entry = /a';
    assert.deepEqual(
      problems(state(APP), { [CONF]: text }),
      [1, 3, 4, 5].map((line) => `${CONF}:${line} BAD_VALUE`),
    );
  });

  it('may include files of its own folder, and problems in them name them', () => {
    const files = { [CONF]: 'lxc.include = sub/more.conf', 'app/sub/more.conf': '\nlxc.ephemeral = 1' };
    const more = { 'app/sub/more.conf': DIGEST, 'app/more.conf': DIGEST };
    assert.deepEqual(problems(state(APP, more), files), ['app/sub/more.conf:2 OWNED_KEY']);
    assert.deepEqual(problems(state(APP), files), [`${CONF}:1 BAD_CONFIG`]);
    assert.deepEqual(problems(state(APP, more), { [CONF]: 'lxc.include = /x/more.conf' }), [`${CONF}:1 BAD_CONFIG`]);
  });

  it('stacks only volumes that run.json names', () => {
    const path = (layers: string) => ({
      [CONF]: `lxc.rootfs.path = overlayfs:${layers}:/volumes/app/lxc-overlay/upper`,
    });
    const two = '/volumes/app/root.squashfs:/volumes/app/more.squashfs';
    assert.deepEqual(problems(state(APP), path(two)), [`${CONF}:1 BAD_ROOT_PATH`]);
    const both = container('app', { group: 'app', volumes: ['dm:more.squashfs'] });
    assert.deepEqual(problems(state(both, { 'app/more.squashfs': DIGEST }), path(two)), []);
  });

  it('stacks volumes of another container below its own, as an extension of that one', () => {
    const skill = container('skill', { group: 'app', 'root-volume': 'root.ovl.squashfs' });
    const overlay = { 'skill/root.ovl.squashfs': DIGEST };
    const on = (base: string) => ({
      'skill/lxc.container.conf': `lxc.rootfs.path = overlayfs:/volumes/skill/root.ovl.squashfs:/volumes/${base}:/volumes/skill/lxc-overlay/upper`,
    });
    const other = 'b'.repeat(64);
    const both = state(skill, overlay, container('app', { group: 'app', 'root-volume': 'dm:root.squashfs' }), {
      'app/root.squashfs': other,
    });
    assert.deepEqual(
      revisionOf(both, on('app/root.squashfs')).containers.map(({ bases }) => bases),
      [[], [{ container: 'app', file: 'root.squashfs', sha256: other }]],
    );
    const refused = ['skill/lxc.container.conf:1 BAD_ROOT_PATH'];
    assert.deepEqual(problems(both, on('gone/root.squashfs')), refused);
    assert.deepEqual(problems(both, on('app/more.squashfs')), refused);
    assert.deepEqual(problems(both, on('app/lxc-overlay/upper')), refused);
    // What is wrong with the base is said of the base.
    assert.deepEqual(problems(state(both, { 'app/run.json': DIGEST }), on('app/root.squashfs')), [
      'app/run.json BAD_TYPE',
    ]);
    const { 'app/root.squashfs': _, ...hollow } = both;
    assert.deepEqual(problems(hollow, on('app/root.squashfs')), ['app/root.squashfs MISSING_OBJECT']);
  });

  it('says which of `volumes` is the root volume, where run.json names none', () => {
    const [path, run] = ['app/lxc.container.conf', { 'root-volume': undefined }];
    const bare = (more: object): object => JSON.parse(JSON.stringify(container('app', { ...run, ...more })));
    const app = (more: object) => state({ ...bare({ group: 'app', ...more }), 'app/own.squashfs': DIGEST });
    const on = (...volumes: string[]) => ({
      [path]: `lxc.rootfs.path = overlayfs:${volumes.map((each) => `/volumes/${each}`).join(':')}:/volumes/app/lxc-overlay/upper`,
    });
    const of = (document: unknown, files: Readonly<Record<string, string>>) =>
      revisionOf(document, files).containers.map(({ rootVolume, storage }) => [rootVolume, ...storage.squashfs])[0];
    const stack = on('app/own.squashfs', 'app/root.squashfs');
    const both = { volumes: ['root.squashfs', 'dm:own.squashfs'] };
    assert.deepEqual(of(app(both), stack), ['own.squashfs', 'root.squashfs']);
    const base = container('base', { group: 'app' });
    const extension = { ...app({ volumes: ['own.squashfs'] }), ...base };
    assert.deepEqual(of(extension, on('app/own.squashfs', 'base/root.squashfs')), ['own.squashfs']);

    const missing = ['app/run.json.root-volume MISSING'];
    // With no line that says it, or one that names nothing of its own, the host's files would be its root.
    assert.deepEqual(problems(app(both)), missing);
    assert.deepEqual(problems(extension, on('base/root.squashfs')), missing);
    assert.deepEqual(problems(app({}), stack), [...missing, `${path}:1 BAD_ROOT_PATH`]);
    // Whoever is only mounted has no root.
    const { [path]: _, ...mounted } = app({ ...both, config: undefined, status_goal: 'MOUNTED' });
    assert.deepEqual(of(mounted, {}), ['root.squashfs', 'own.squashfs']);
  });

  it('may be missing of a container that is only mounted', () => {
    const without = (run: object) => {
      const { [CONF]: _, ...keys } = container('app', { ...run, config: undefined });
      return state(JSON.parse(JSON.stringify(keys)));
    };
    assert.equal(revisionOf(without({ group: 'data' })).containers[0]?.config, undefined);
    assert.equal(revisionOf(without({ group: 'app', status_goal: 'MOUNTED' })).containers[0]?.config, undefined);
    assert.deepEqual(problems(without({ group: 'app' })), [`${CONF} MISSING_OBJECT`]);
    assert.equal(revisionOf(state(container('app', { group: 'data' }))).containers[0]?.config, 'lxc.container.conf');
  });

  it('names the host name where run.json does not', () => {
    const named = { [CONF]: 'lxc.uts.name = my_app.local' };
    const hostnameOf = (network?: object) =>
      revisionOf(state(container('app', { group: 'app', network })), named).containers[0]?.hostname;
    for (const network of [{ pool: 'internal' }, { mode: 'host' }, { mode: 'none' }, { hostname: undefined }]) {
      assert.equal(hostnameOf(network), 'my_app.local');
    }
    const both = container('app', { group: 'app', network: { pool: 'internal', hostname: 'x' } });
    const parsed = parse(state(both), { [CONF]: 'lxc.uts.name = other' });
    assert.match(
      parsed.ok ? '' : (parsed.problems[0]?.message ?? ''),
      /network\.hostname in run\.json; remove the line/,
    );
    const pool = container('app', { group: 'app', network: { pool: 'internal' } });
    assert.deepEqual(problems(state(pool), { [CONF]: 'lxc.uts.name = a b' }), [`${CONF}:1 OWNED_KEY`]);
  });
});
