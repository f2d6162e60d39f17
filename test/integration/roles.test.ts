// What containers of each role really see under /pantavisor: everything that can be read there is read, from inside.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { curl } from '../ctl-svc/rig.ts';
import { get, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { attached, openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

/** `meek` gave up what no container needs; the others have LXC's default, everything that Berth itself may give. */
const ARGUMENTS: Readonly<Record<string, object>> = {
  boss: { PV_ROLES: ['mgmt'] },
  meek: { PV_LXC_CAP_DROP: ['sys_admin', 'sys_module', 'sys_rawio', 'mknod', 'dac_read_search'] },
  web: {},
  'web.admin': {},
};
/** By kind and key; each value is unlike every other. */
const METADATA: readonly (readonly [string, string])[] = ['user', 'device'].flatMap((kind) =>
  ['plain', 'boss.k', 'meek.k', 'web.k', 'web.admin.k', 'web.deep.er', 'other.k'].map((key) => [kind, key] as const),
);
const secretOf = (kind: string, key: string): string => `secret-${kind}-${key.replaceAll('.', '-')}-end`;
const markerOf = (name: string): string => `marker-of-${name.replaceAll('.', '-')}-end`;

function writeSource(): string {
  const source = mkdtempSync(join(tmpdir(), 'berth-roles-'));
  writeFileSync(join(source, 'device.json'), '{"network":{"pools":{}}}');
  for (const [name, args] of Object.entries(ARGUMENTS)) {
    const folder = join(source, 'containers', name);
    mkdirSync(folder, { recursive: true });
    const common = { PV_GROUP: 'app', PV_RESTART_POLICY: 'container', PV_LXC_NETWORK_TYPE: 'empty' };
    writeFileSync(join(folder, 'args.json'), JSON.stringify({ ...common, ...args }));
    writeFileSync(
      join(folder, 'init'),
      `#!/bin/sh\ntrap 'exit 0' TERM PWR\necho ${markerOf(name)}\nwhile :; do /bin/busybox sleep 1; done\n`,
    );
    writeFileSync(
      join(folder, 'rootfs.list'),
      'file /bin/busybox /usr/bin/busybox|/bin/busybox 0755\nlink /bin/sh busybox\nfile /init init 0755\ndir /dev\ndir /etc\n',
    );
  }
  return source;
}

describe('roles', () => {
  let tree: Tree;
  before(async () => {
    const source = writeSource();
    tree = await openTree(packExample(source));
    rmSync(source, { recursive: true });
    tree.start();
    await tree.up();
    for (const [kind, key] of METADATA) await set(kind, key, secretOf(kind, key));
    for (const name of Object.keys(ARGUMENTS)) {
      const log = `${name}/lxc/console.log`;
      await eventually(`the log of ${name}`, PATIENCE_MS, () => tree.readLog(log).includes(markerOf(name)));
    }
  });
  after(() => tree.close());

  const set = async (kind: string, key: string, value: string): Promise<void> => {
    const { status } = await curl(tree.socket, `/${kind}-meta/${key}`, ['-X', 'PUT', '--data-binary', '@-'], value);
    assert.equal(status, 200, key);
  };
  /** As the container's root, with what capabilities it has. */
  const within = (container: string, script: string) =>
    tree.inside(attached(tree, container, ['/bin/sh', '-c', script]));
  const filesIn = (container: string, folder: string): string[] =>
    within(container, `cd ${folder} && /bin/busybox find . ! -type d | /bin/busybox sort`)
      .stdout.trim()
      .split('\n')
      .map((line) => line.replace(/^\.\//, ''))
      .filter((line) => line !== '');
  /** Every byte below /pantavisor. */
  const readAll = (container: string): string => {
    const { stdout, stderr } = within(container, '/bin/busybox find /pantavisor -type f -exec /bin/busybox cat {} +');
    assert.equal(stderr, '');
    return stdout;
  };
  const markersIn = (text: string): string[] => [...new Set(text.match(/marker-of-.*?-end/g) ?? [])].sort();
  const secretsIn = (text: string): string[] => [...new Set(text.match(/secret-.*?-end/g) ?? [])].sort();

  const own: Readonly<Record<string, readonly string[]>> = {
    meek: ['k'],
    web: ['deep.er', 'k'],
    'web.admin': ['k'],
  };
  const expectations = (): void => {
    for (const [name, keys] of Object.entries(own)) {
      const text = readAll(name);
      assert.deepEqual(markersIn(text), [markerOf(name)], name);
      const secrets = ['device', 'user'].flatMap((kind) => keys.map((key) => secretOf(kind, `${name}.${key}`)));
      assert.deepEqual(secretsIn(text), secrets.sort(), name);
      for (const kind of ['user-meta', 'device-meta'])
        assert.deepEqual(filesIn(name, `/pantavisor/${kind}`), keys, name);
    }
    const all = readAll('boss');
    assert.deepEqual(markersIn(all), Object.keys(ARGUMENTS).map(markerOf).sort());
    assert.deepEqual(secretsIn(all), METADATA.map(([kind, key]) => secretOf(kind, key)).sort());
  };

  it('show nobody its own logs and keys, and mgmt all of them', expectations);

  it('show mgmt what Berth says about the device, too', () => {
    const { stdout } = within(
      'boss',
      'cd /pantavisor/device-meta; /bin/busybox cat pantavisor.status pantavisor.revision storage',
    );
    assert.match(stdout, /^READY0\{"total":\d+,/);
    assert.deepEqual(
      filesIn('boss', '/pantavisor/user-meta'),
      METADATA.filter(([kind]) => kind === 'user')
        .map(([, key]) => key)
        .sort(),
    );
  });

  it('show sockets only where they belong: a container’s own, in /pantavisor itself', () => {
    for (const name of Object.keys(ARGUMENTS)) {
      const { stdout } = within(name, '/bin/busybox find /pantavisor -type s');
      assert.ok(stdout.includes('/pantavisor/pv-ctrl\n'), name);
      for (const path of stdout.trim().split('\n')) assert.match(path, /^\/pantavisor\/(pv-[a-z-]+|dev-log)$/, name);
    }
  });

  it('mount nothing that can be written to, changed or made larger', () => {
    const places = ['', '/logs', '/user-meta', '/device-meta'];
    for (const name of Object.keys(ARGUMENTS)) {
      for (const place of places) {
        const folder = `/pantavisor${place}`;
        const { status, stderr } = within(name, `echo x > ${folder}/new`);
        assert.notEqual(status, 0, `${name} ${folder}`);
        assert.match(stderr, /Read-only file system/, `${name} ${folder}`);
      }
      const file = name === 'boss' ? '/pantavisor/user-meta/plain' : '/pantavisor/user-meta/k';
      for (const change of [
        `echo x > ${file}`,
        `echo x >> ${file}`,
        `/bin/busybox rm ${file}`,
        `/bin/busybox chmod 777 ${file}`,
      ]) {
        assert.match(within(name, change).stderr, /Read-only file system/, `${name}: ${change}`);
      }
      const { stdout } = within(name, '/bin/busybox grep " /pantavisor" /proc/self/mounts');
      assert.equal(stdout.trim().split('\n').length, places.length, name);
      for (const line of stdout.trim().split('\n'))
        assert.match(line.split(' ')[3] ?? '', /^ro,nosuid,nodev,noexec/, line);
    }
  });

  it('cannot be remounted by a container without sys_admin', () => {
    for (const place of ['', '/logs', '/user-meta', '/device-meta']) {
      const tries = `/bin/busybox mount -o remount,bind,rw /pantavisor${place}; /bin/busybox umount /pantavisor${place}; /bin/busybox umount -l /pantavisor${place}`;
      const { stderr } = within('meek', tries);
      assert.equal(stderr.match(/Operation not permitted|Permission denied|must be superuser/gi)?.length, 3, stderr);
    }
    // Root of a user namespace of its own has the capability there, and mounts that it inherited are locked (mount_namespaces(7)).
    const remount = '/bin/busybox mount -o remount,bind,rw /pantavisor/user-meta && echo x > /pantavisor/user-meta/k';
    const inside = within('meek', `/bin/busybox unshare -U -r -m /bin/sh -c '/bin/busybox id -u; ${remount}'`);
    assert.match(inside.stdout, /^0$/m, inside.stderr);
    assert.notEqual(inside.status, 0);
    expectations();
  });

  it('let a container that remounts its view fool nobody but itself', async () => {
    within(
      'web',
      '/bin/busybox mount -o remount,bind,rw /pantavisor/user-meta; echo evil > /pantavisor/user-meta/k; echo x > /pantavisor/user-meta/new',
    );
    const { body } = await curl(tree.socket, '/user-meta');
    assert.equal(JSON.parse(body)['web.k'], secretOf('user', 'web.k'));
    assert.ok(!readAll('boss').includes('evil'));
    assert.ok(!readAll('meek').includes('evil'));
    // What Berth writes, it writes over it.
    await set('user', 'web.k', 'other');
    await set('user', 'web.k', secretOf('user', 'web.k'));
    within(
      'web',
      '/bin/busybox rm /pantavisor/user-meta/new; /bin/busybox mount -o remount,bind,ro /pantavisor/user-meta',
    );
    expectations();
  });

  it('show changes at once, without a restart of the container', async () => {
    await set('user', 'web.k', 'secret-changed-end');
    assert.ok(secretsIn(readAll('web')).includes('secret-changed-end'));
    assert.ok(secretsIn(readAll('boss')).includes('secret-changed-end'));
    await set('user', 'web.k', secretOf('user', 'web.k'));
    await set('user', 'web.new', 'x');
    assert.deepEqual(filesIn('web', '/pantavisor/user-meta'), ['deep.er', 'k', 'new']);
    assert.equal((await curl(tree.socket, '/user-meta/web.new', ['-X', 'DELETE'])).status, 200);
    expectations();
  });

  for (const service of ['state-svc', 'log-svc', 'lxc-svc']) {
    it(`hold after ${service} was killed`, async () => {
      const before = (await get(tree.socket, '/services', serviceRows)).find(({ name }) => name === service);
      tree.inside(['kill', '-9', String(before?.pid)]);
      await eventually(`${service} back`, PATIENCE_MS, async () => {
        const rows = await get(tree.socket, '/services', serviceRows).catch(() => []);
        const now = rows.find(({ name }) => name === service);
        return now !== undefined && now.pid !== before?.pid && now.state === 'ready';
      });
      await tree.up();
      await set('device', 'web.k', 'secret-again-end');
      // A new state-svc verifies the revision before it believes what it says about roles.
      await eventually('the new value', PATIENCE_MS, () => secretsIn(readAll('web')).includes('secret-again-end'));
      await set('device', 'web.k', secretOf('device', 'web.k'));
      expectations();
    });
  }

  it('hold for a container that is started again', async () => {
    const answer = await curl(tree.socket, '/containers/web', ['-X', 'PUT', '-d', '{"action":"restart"}']);
    assert.equal(answer.status, 200);
    await eventually(
      'a second line',
      PATIENCE_MS,
      () => tree.readLog('web/lxc/console.log').split(markerOf('web')).length === 3,
    );
    await tree.up();
    expectations();
  });
});
