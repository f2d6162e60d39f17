// Configurations as packagers write them, each started for real: the container itself says what its lines did.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import koffi from 'koffi';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { makeContainer, mountOf, openRig, type Rig, RUNDIR, STORAGE, startOf, traces } from './rig.ts';

reexecInNamespaces(import.meta.filename);

let rig: Rig;
before(async () => {
  rig = await openRig();
  await rig.spawn();
});
after(async () => {
  await rig.close();
});

const value: Rig['value'] = (answer) => rig.value(answer);

const isSupported = koffi.load('liblxc.so.1').func('bool lxc_config_item_is_supported(const char *key)');

const configOf = (container: string): string => join(STORAGE, 'trails/0', container, 'lxc.container.conf');

/** Starts it with `lines` at the end of a stock configuration; answers what `script` printed in it. */
async function ask(
  container: string,
  lines: readonly string[],
  script: string,
  squashfs: readonly string[] = [],
): Promise<readonly string[]> {
  makeContainer(container, 'obedient', lines.join('\n'));
  // Last wins: the script is init.
  const init = `/bin/sh -c "export PATH=/bin; exec >/seen 2>&1; ${script}; echo done; exec busybox sleep 60"`;
  if (!lines.some((line) => line.startsWith('lxc.init.cmd')))
    appendFileSync(configOf(container), `lxc.init.cmd = ${init}\n`);
  value(await rig.lxc.mount({ ...mountOf(container), squashfs: [...squashfs] }));
  value(await rig.lxc.start(startOf(container)));
  const seen = join(RUNDIR, 'lxc', container, 'rootfs/seen');
  const text = await eventually(`what ${container} saw`, PATIENCE_MS, () => {
    const read = existsSync(seen) ? readFileSync(seen, 'utf8') : '';
    return read.endsWith('done\n') ? read : undefined;
  });
  value(await rig.lxc.stop({ container, graceMs: 0 }));
  value(await rig.lxc.unmount({ container }));
  return text.trimEnd().split('\n').slice(0, -1);
}

describe('a stock configuration in a running container', () => {
  it('stacks several root volumes, the first one uppermost, below one writable layer', async () => {
    makeContainer('stacked', 'obedient');
    const clean = traces();
    const extra = '/run/berth-extra';
    mkdirSync(join(extra, 'opt'), { recursive: true });
    mkdirSync(join(extra, 'bin'));
    writeFileSync(join(extra, 'opt/below'), 'of the second volume\n');
    writeFileSync(join(extra, 'bin/sh'), 'never seen\n');
    const file = join(STORAGE, 'trails/0/stacked/extra.squashfs');
    execFileSync('mksquashfs', [extra, file, '-quiet', '-no-progress', '-processors', '1'], { stdio: 'ignore' });
    const path =
      'overlayfs:/volumes/stacked/root.squashfs:/volumes/stacked/extra.squashfs:/volumes/stacked/lxc-overlay/upper';
    const seen = await ask('stacked', [`lxc.rootfs.path = ${path}`], 'cat /opt/below; echo x >/opt/above; ls /opt', [
      'extra.squashfs',
    ]);
    assert.deepEqual(seen, ['of the second volume', 'above', 'below']);
    rmSync(extra, { recursive: true });
    assert.deepEqual(traces(), clean);
  });

  it('keeps the namespaces that it names, and no network that Berth gives', async () => {
    const names = ['ipc', 'user', 'net', 'uts', 'pid', 'mnt'];
    const script = names.map((name) => `busybox readlink /proc/self/ns/${name}`).join('; ');
    const seen = await ask('namespaces', [], script);
    const kept = names.filter((name, index) => seen[index] === readlinkSync(`/proc/self/ns/${name}`));
    assert.deepEqual(kept, ['ipc', 'user']);
    const others = await ask('separate', ['lxc.namespace.keep =', 'lxc.namespace.keep = user'], script);
    assert.notEqual(others[0], readlinkSync('/proc/self/ns/ipc'));
  });

  it('mounts a tmpfs on run, and the host’s resolv.conf where the image has none', async () => {
    const bind = 'lxc.mount.entry = /etc/resolv.conf etc/resolv.conf none bind,rw,create=file 0 0';
    const script = "busybox grep -c ' /run tmpfs .*mode=755' /proc/mounts; cat /etc/resolv.conf";
    const [tmpfs, ...resolv] = await ask('mounts', [bind], script);
    assert.equal(tmpfs, '1');
    assert.equal(resolv.join('\n'), readFileSync('/etc/resolv.conf', 'utf8').trimEnd());
  });

  it('mounts what its file of mounts says before its entries, and follows no link on the way there', async () => {
    const host = '/run/berth-fstab';
    const lines = ['tmpfs m tmpfs rw,create=dir 0 0', 'tmpfs esc/x tmpfs rw,optional,create=dir'];
    mkdirSync(join(host, 'found'), { recursive: true });
    const below = 'lxc.mount.entry = tmpfs m/below tmpfs rw,create=dir 0 0';
    for (const [container, path, folder] of [
      ['its-fstab', 'etc/fstab', dirname(configOf('its-fstab'))],
      ['host-fstab', join(host, 'fstab'), '/'],
    ] as const) {
      makeContainer(container, 'obedient');
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), `# mounts\n${lines.join('\n')}\n`);
      value(await rig.lxc.mount(mountOf(container)));
      symlinkSync(join(host, 'found'), join(RUNDIR, 'lxc', container, 'rootfs/esc'));
      const script = "busybox grep -o ' /[me][^ ]* tmpfs' /proc/mounts";
      const seen = await ask(container, [below, `lxc.mount.fstab = ${path}`], script);
      assert.deepEqual(seen, [' /m tmpfs', ' /m/below tmpfs'], container);
      assert.deepEqual(readdirSync(join(host, 'found')), [], container);
    }
    rmSync(host, { recursive: true });
  });

  it('sets environment and working directory, and clears what an empty value clears', async () => {
    const lines = [
      'lxc.environment = GONE=1',
      'lxc.environment =',
      'lxc.environment = GREETING=good morning',
      '  lxc.environment="QUOTED= x "   ',
      'lxc.init.cwd = /data',
    ];
    const script = 'busybox pwd; echo $GONE=; echo $GREETING; echo =$QUOTED=; echo $container';
    // The shell joins the blanks.
    assert.deepEqual(await ask('environment', lines, script), ['/data', '=', 'good morning', '= x =', 'lxc']);
  });

  it('drops capabilities, and limits terminals', async () => {
    const lines = ['lxc.cap.drop = sys_module mknod', 'lxc.tty.max = 3', 'lxc.pty.max = 77'];
    const script = 'busybox grep CapBnd /proc/1/status; ls -d /dev/tty[0-9]*; busybox grep devpts /proc/mounts';
    const [bounding = '', ...rest] = await ask('caps', lines, script);
    const bits = BigInt(`0x${bounding.split(/\s+/)[1]}`);
    // Of capability.h: CAP_SYS_MODULE 16, CAP_MKNOD 27, CAP_CHOWN 0.
    assert.deepEqual([bits & (1n << 16n), bits & (1n << 27n), bits & 1n], [0n, 0n, 1n]);
    assert.deepEqual(rest.slice(0, 3), ['/dev/tty1', '/dev/tty2', '/dev/tty3']);
    // LXC adds those of the terminals.
    assert.match(rest[3] ?? '', /max=80/);
  });

  it('logs the console of a container that asks for none', async () => {
    makeContainer('unheard', 'obedient', 'lxc.console.path = none');
    value(await rig.lxc.mount(mountOf('unheard')));
    value(await rig.lxc.start(startOf('unheard')));
    await eventually('its console is logged', PATIENCE_MS, () => {
      const path = join(RUNDIR, 'lxc/.consoles/unheard/console.log');
      return existsSync(path) && readFileSync(path, 'utf8').includes('ready');
    });
    value(await rig.lxc.stop({ container: 'unheard', graceMs: 0 }));
    value(await rig.lxc.unmount({ container: 'unheard' }));
  });

  for (const version of ['cgroup', 'cgroup2']) {
    it(`denies devices with ${version} lines`, async () => {
      const lines = [
        'lxc.cgroup.devices.allow =',
        `lxc.${version}.devices.deny = a`,
        `lxc.${version}.devices.allow = c 1:3 rwm`,
        `lxc.${version}.devices.allow = c 5:* rwm`,
        `lxc.${version}.devices.allow = c 136:* rwm`,
      ];
      const script = 'echo x >/dev/null && echo null; busybox head -c 1 /dev/zero >/dev/null || echo no zero';
      const seen = await ask(`devices-${version}`, lines, script);
      assert.equal(seen[0], 'null');
      assert.equal(seen.at(-1), 'no zero');
    });
  }
});

describe('a container without a configuration', () => {
  it('is mounted, as packagers mean it who write none, and cannot be started', async () => {
    makeContainer('unconfigured', 'obedient');
    rmSync(configOf('unconfigured'));
    const { config: _, ...wanted } = mountOf('unconfigured');
    const clean = traces();
    value(await rig.lxc.mount(wanted));
    const mounted = traces();
    value(await rig.lxc.mount(wanted));
    assert.deepEqual(traces(), mounted);
    const answer = await rig.lxc.start(startOf('unconfigured'));
    assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
    assert.match(answer.error.reason, /has none/);
    value(await rig.lxc.stop({ container: 'unconfigured', graceMs: 0 }));
    value(await rig.lxc.unmount({ container: 'unconfigured' }));
    assert.deepEqual(traces(), clean);
  });
});

describe('the init program', () => {
  const refusal = async (container: string, lines: readonly string[]): Promise<string> => {
    makeContainer(container, 'obedient', lines.join('\n'));
    const clean = traces();
    value(await rig.lxc.mount(mountOf(container)));
    const answer = await rig.lxc.start(startOf(container));
    assert.ok(!answer.ok && answer.error.code === 'START_FAILED', JSON.stringify(answer));
    assert.equal(answer.error.step, 'init');
    assert.equal(readFileSync(join(RUNDIR, 'lxc', container, 'logs/lxc.log'), 'utf8'), '', 'LXC was not started');
    value(await rig.lxc.unmount({ container }));
    assert.deepEqual(traces(), clean);
    return answer.error.reason;
  };

  it('is named when it is missing, with the line that wants it', async () => {
    assert.match(
      await refusal('noinit', ['lxc.init.cmd = /usr/bin/nginx -g "daemon off;"']),
      /^lxc\.init\.cmd \(lxc\.container\.conf:8\) runs \/usr\/bin\/nginx: no \/usr\/bin\/nginx, as there is no \/usr;/,
    );
  });

  it('is /sbin/init when no line names one', async () => {
    assert.match(await refusal('default', ['lxc.init.cmd =']), /not set, so init is \/sbin\/init: no \/sbin\/init/);
  });

  it('is found in the PATH of the container’s environment, or in LXC’s without one', async () => {
    const init = 'lxc.init.cmd = sh "-c" "exec >/seen; echo $0; echo done; exec sleep 60" found';
    assert.deepEqual(await ask('pathless', [init], ''), ['found']);
    assert.deepEqual(await ask('path', ['lxc.environment = PATH=/nowhere:/bin', init], ''), ['found']);
    assert.match(await refusal('nopath', ['lxc.environment = PATH=/nowhere:/data', init]), /no sh in \/nowhere:\/data/);
  });

  it('may come from a mount of the container', async () => {
    const program = '/run/berth-tool';
    writeFileSync(program, '#!/bin/sh\nexec >/seen; echo from a mount; echo done; exec sleep 60\n', { mode: 0o755 });
    const bind = `lxc.mount.entry = ${program} data/tool none bind,create=file 0 0`;
    assert.deepEqual(await ask('mounted', [bind, 'lxc.init.cmd = /data/tool'], ''), ['from a mount']);
  });
});

describe('a configuration that asks for what is Berth’s', () => {
  const refusal = async (container: string, lines: readonly string[], files: Readonly<Record<string, string>> = {}) => {
    makeContainer(container, 'obedient', lines.join('\n'));
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(STORAGE, 'trails/0', container, name), text);
    }
    const answer = await rig.lxc.mount(mountOf(container));
    assert.ok(!answer.ok && answer.error.code === 'CONFIG_INVALID', JSON.stringify(answer));
    return `${answer.error.line} ${answer.error.reason}`;
  };

  it('is not mounted, and the answer names file, line and the way out', async () => {
    assert.match(
      await refusal('owner', ['lxc.include = more.conf'], { 'more.conf': '\nlxc.cgroup.dir = mine\n' }),
      /^2 more\.conf: "lxc\.cgroup\.dir = mine" is not for a container to say: Berth names.*remove the line$/,
    );
    assert.match(await refusal('typo', ['lxc.utsname = x']), /^8 lxc\.container\.conf: .*write lxc\.uts\.name$/);
  });

  it('is not started with a network or a name of its own beside Berth’s', async () => {
    makeContainer('named', 'obedient', 'lxc.uts.name = other');
    value(await rig.lxc.mount(mountOf('named')));
    const answer = await rig.lxc.start(startOf('named'));
    assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
    assert.match(answer.error.reason, /^lxc\.container\.conf:8: "lxc\.uts\.name = other".*network\.hostname/);
    value(await rig.lxc.unmount({ container: 'named' }));
  });

  it('has the key in the answer for which this LXC is too old', async (t) => {
    if (isSupported('lxc.environment.runtime')) return t.skip('it is not');
    makeContainer('newer', 'obedient', 'lxc.environment.runtime = A=b');
    value(await rig.lxc.mount(mountOf('newer')));
    const answer = await rig.lxc.start(startOf('newer'));
    assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
    assert.match(answer.error.reason, /too old for the key lxc\.environment\.runtime: install LXC 7\.0/);
    value(await rig.lxc.unmount({ container: 'newer' }));
  });

  it('has what LXC itself refuses in the answer', async () => {
    makeContainer('refused', 'obedient', 'lxc.seccomp.profile = /nowhere');
    value(await rig.lxc.mount(mountOf('refused')));
    const answer = await rig.lxc.start(startOf('refused'));
    assert.ok(!answer.ok && answer.error.code === 'START_FAILED');
    assert.match(answer.error.reason, /seccomp/i);
    value(await rig.lxc.unmount({ container: 'refused' }));
  });
});
