// Name servers of containers with a network of their own: which lines are changed, what the file says, and what containers find.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { createResolvConf, type ResolvConf } from '../../services/lxc-svc/resolv-conf.ts';
import { withResolvConf } from '../../services/lxc-svc/resolv-mounts.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, RUNDIR, startOf, traces } from './rig.ts';
import { consoleOf } from './runs.ts';

reexecInNamespaces(import.meta.filename);

/** A client of DHCP puts a new file in its place. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

describe('lxc-svc.withResolvConf', () => {
  const changed = (value: string): string | undefined => {
    const places = { place: () => '/of/berth', copy: () => '/its/own' };
    const [entry] = withResolvConf([{ key: 'lxc.mount.entry', value }], places);
    return entry?.value === value ? undefined : entry?.value;
  };

  it('changes the source of lines that bind the host’s, wherever to, to one of its own where it may write', () => {
    const [stock, packed] = ['none bind,rw,create=file 0 0', 'none bind,ro,optional,create=file 0 0'];
    assert.equal(changed(`/etc/resolv.conf x ${stock}`), '/its/own x none bind,rw,create=file 0 0');
    assert.equal(changed(`/etc//resolv.conf x ${packed}`), '/of/berth x none bind,ro,optional,create=file 0 0');
  });

  it('asks for no place, and changes nothing, where that is not bound', () => {
    const lines = [
      '/etc/resolv.conf.d etc/resolv.conf none bind 0 0',
      'tmpfs etc/resolv.conf tmpfs rw 0 0',
      'etc/resolv.conf x none bind 0 0',
      '/etc/resolv.conf x none bind,relative 0 0',
      '/etc etc none bind 0 0',
    ].map((value) => ({ key: 'lxc.mount.entry', value }));
    const other = { key: 'lxc.environment', value: '/etc/resolv.conf x none bind 0 0' };
    assert.deepEqual(
      withResolvConf([...lines, other], { place: () => assert.fail('asked'), copy: () => assert.fail('asked') }),
      [...lines, other],
    );
  });
});

describe('lxc-svc.resolvConf', () => {
  let folder = '';
  let open: ResolvConf | undefined;
  let warnings: string[] = [];
  const at = (name: string): string => join(folder, name);
  const text = (): string => readFileSync(at('its'), 'utf8');
  const create = (): ResolvConf => {
    const log = { ...silentLogger, warn: (message: string) => warnings.push(message) };
    const sources = [at('etc/resolv.conf'), at('run/systemd/resolve/resolv.conf')];
    open = createResolvConf({ path: at('its'), copies: () => [at('a'), at('b'), at('none')], log, sources });
    return open;
  };
  const says = (expected: string) => eventually(`it says ${expected}`, PATIENCE_MS, () => text() === expected);
  beforeEach(() => {
    folder = mkdtempSync('/run/berth-resolv-');
    mkdirSync(at('etc'));
    mkdirSync(at('run'));
    warnings = [];
  });
  afterEach(() => {
    open?.close();
    for (const name of ['a', 'b']) if (existsSync(at(name))) execFileSync('umount', [at(name)]);
    rmSync(folder, { recursive: true });
  });

  it('says what the host’s says, and follows it in the same file, whatever becomes of that', async () => {
    assert.equal(create().place(), at('its'));
    const { ino } = statSync(at('its'));
    assert.equal(text(), '');
    replace(at('etc/resolv.conf'), 'nameserver 192.0.2.1\noptions edns0\n');
    await says('nameserver 192.0.2.1\noptions edns0\n');
    replace(at('etc/resolv.conf'), 'nameserver 192.0.2.2\n');
    await says('nameserver 192.0.2.2\n');
    rmSync(at('etc/resolv.conf'));
    await says('');
    assert.deepEqual([statSync(at('its')).ino, warnings], [ino, []]);
  });

  it('has the servers behind one on the host’s loopback, as soon as these are known', async () => {
    symlinkSync('../run/systemd/resolve/stub-resolv.conf', at('etc/resolv.conf'));
    create().place();
    const stub = 'nameserver 127.0.0.53\nsearch lan\n';
    mkdirSync(at('run/systemd/resolve'), { recursive: true });
    writeFileSync(at('run/systemd/resolve/stub-resolv.conf'), stub);
    await says(stub);
    await eventually('it is told', PATIENCE_MS, () => /127\.0\.0\.53/.test(warnings.join()));
    replace(at('run/systemd/resolve/resolv.conf'), 'nameserver 192.0.2.3\n');
    await says('nameserver 192.0.2.3\n');
    replace(at('run/systemd/resolve/resolv.conf'), '');
    await says(stub);
    assert.equal(warnings.length, 2);
  });

  it('has copies follow that say the same still, also what one says while no service runs', async () => {
    writeFileSync(at('etc/resolv.conf'), 'nameserver 192.0.2.1\n');
    const [its, others] = [create().copy(at('a')), open?.copy(at('b')) ?? ''];
    const texts = (): string[] => [its, others].map((path) => readFileSync(path, 'utf8'));
    writeFileSync(its, 'nameserver 192.0.2.9\n');
    replace(at('etc/resolv.conf'), 'nameserver 192.0.2.22\n');
    await says('nameserver 192.0.2.22\n');
    assert.deepEqual(texts(), ['nameserver 192.0.2.9\n', 'nameserver 192.0.2.22\n']);
    open?.close();
    replace(at('etc/resolv.conf'), 'nameserver 192.0.2.3\n');
    create();
    assert.deepEqual(texts(), ['nameserver 192.0.2.9\n', 'nameserver 192.0.2.3\n']);
    appendFileSync(others, 'search lan\n');
    replace(at('etc/resolv.conf'), 'nameserver 192.0.2.33\n');
    await says('nameserver 192.0.2.33\n');
    assert.equal(readFileSync(others, 'utf8'), 'nameserver 192.0.2.3\nsearch lan\n');
    // As large as memory, and yet nothing: it is not read.
    truncateSync(others, 2 ** 40);
    replace(at('etc/resolv.conf'), 'nameserver 192.0.2.4\n');
    await says('nameserver 192.0.2.4\n');
    assert.throws(() => writeFileSync(its, Buffer.alloc(128 * 1024)), /ENOSPC/);
    assert.equal(open?.copy(at('a')), its);
    assert.deepEqual([readFileSync(its, 'utf8'), warnings], ['nameserver 192.0.2.4\n', []]);
  });

  it('leaves a server beside one on the loopback to the container', () => {
    writeFileSync(at('etc/resolv.conf'), 'nameserver 127.0.0.1\nnameserver 192.0.2.4\n');
    mkdirSync(at('run/systemd/resolve'), { recursive: true });
    writeFileSync(at('run/systemd/resolve/resolv.conf'), 'nameserver 192.0.2.5\n');
    create().place();
    assert.equal(text(), 'nameserver 127.0.0.1\nnameserver 192.0.2.4\n');
    assert.deepEqual(warnings, []);
  });

  it('is made when it is asked for, and followed by the next service without that', async () => {
    writeFileSync(at('etc/resolv.conf'), 'nameserver 192.0.2.6\n');
    create();
    assert.equal(existsSync(at('its')), false);
    open?.place();
    open?.close();
    replace(at('etc/resolv.conf'), 'nameserver 192.0.2.7\n');
    create();
    assert.equal(text(), 'nameserver 192.0.2.7\n');
    replace(at('etc/resolv.conf'), 'nameserver 192.0.2.8\n');
    await says('nameserver 192.0.2.8\n');
    rmSync(at('its'));
    assert.equal(open?.place(), at('its'));
    assert.equal(text(), 'nameserver 192.0.2.8\n');
  });
});

describe('lxc.start', () => {
  let rig: Rig;
  before(async () => {
    for (const folder of ['/run/etc', '/run/etc-work']) mkdirSync(folder);
    // The machine's own stays as it is below.
    const options = 'lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work';
    execFileSync('mount', ['-t', 'overlay', 'over', '/etc', '-o', options]);
    rmSync('/etc/resolv.conf', { force: true });
    writeFileSync('/etc/resolv.conf', 'nameserver 192.0.2.1\n');
    execFileSync('ip', ['netns', 'add', 'own']);
    rig = await openRig();
    await rig.spawn();
  });
  after(async () => {
    await rig.close();
    execFileSync('ip', ['netns', 'del', 'own']);
  });
  const SCRIPT =
    'echo own >/etc/resolv.conf; while :; do busybox cmp -s /etc/resolv.conf /tmp/seen || { cat /etc/resolv.conf | busybox tee /tmp/seen; }; sleep 0.05; done';
  const begin = async (
    container: string,
    network: Parameters<Rig['lxc']['start']>[0]['network'],
    options = 'bind,rw,create=file',
  ): Promise<void> => {
    const bind = `lxc.mount.entry = /etc/resolv.conf etc/resolv.conf none ${options} 0 0`;
    makeContainer(container, 'obedient', `${bind}\nlxc.init.cmd = /bin/sh -c "export PATH=/bin; ${SCRIPT}"`);
    rig.value(await rig.lxc.mount(mountOf(container)));
    rig.value(await rig.lxc.start({ ...startOf(container), network }));
  };
  const says = (container: string, line: string) =>
    eventually(`${container} reads ${line}`, PATIENCE_MS, () => consoleOf(container).includes(line));
  const end = async (container: string): Promise<void> => {
    rig.value(await rig.lxc.stop({ container, graceMs: 0 }));
    rig.value(await rig.lxc.unmount({ container }));
  };

  it('gives a container of a pool the name servers of the host, also those that come while it runs, and not to write', async () => {
    await begin('pooled', { kind: 'netns', path: '/run/netns/own' }, 'bind,ro,create=file');
    await says('pooled', 'Read-only file system');
    await says('pooled', 'nameserver 192.0.2.1');
    replace('/etc/resolv.conf', 'nameserver 192.0.2.2\n');
    await says('pooled', 'nameserver 192.0.2.2');
    await rig.kill();
    replace('/etc/resolv.conf', 'nameserver 192.0.2.3\n');
    await rig.spawn();
    await says('pooled', 'nameserver 192.0.2.3');
    await end('pooled');
  });

  it('gives one that may write a file of its own, which nobody else sees, with the name servers of the host at each start', async () => {
    const clean = traces();
    await begin('writing', { kind: 'netns', path: '/run/netns/own' });
    await says('writing', 'own');
    assert.notEqual(readFileSync('/etc/resolv.conf', 'utf8'), 'own\n');
    const own = join(RUNDIR, 'lxc/writing/resolv/resolv.conf');
    assert.equal(readFileSync(own, 'utf8'), 'own\n');
    await end('writing');
    assert.deepEqual([traces(), existsSync(dirname(own))], [clean, false]);
  });

  it('leaves one without a network of Berth’s the host’s own', async () => {
    await begin('hosted', { kind: 'host' });
    await says('hosted', 'own');
    assert.equal(readFileSync('/etc/resolv.conf', 'utf8'), 'own\n');
    await end('hosted');
  });
});
