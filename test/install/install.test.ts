// scripts/install and scripts/uninstall: into images, and over this machine's folders where nothing of it can change.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { cleanEnvironment, coverMachine, type Ran } from '../kit/covered-machine.ts';
import { eventually } from '../kit/eventually.ts';
import { differences, type Image, makeImage, ROOT } from './image.ts';

const PATIENCE_MS = 20_000;

describe('scripts/install', () => {
  let image: Image;
  const folders: string[] = [];
  beforeEach(() => {
    image = makeImage();
  });
  afterEach(() => {
    image.remove();
    for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
  });

  const installed = (words: readonly string[] = [], environment = {}): Ran => {
    const ran = image.install(words, environment);
    assert.equal(ran.status, 0, ran.stderr);
    return ran;
  };
  const gone = (words: readonly string[] = []): Ran => {
    const ran = image.uninstall(words);
    assert.equal(ran.status, 0, ran.stderr);
    return ran;
  };
  /** A build of a few small files, with which an installation takes no time. */
  const smallBuild = (version = 'one'): Record<string, string> => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-dist-'));
    folders.push(folder);
    mkdirSync(join(folder, 'node_modules'));
    for (const name of ['berth.js', 'pvcontrol.js', 'state-svc.js', 'node_modules/koffi.js']) {
      writeFileSync(join(folder, name), `// ${version}\n`);
    }
    return { BERTH_DIST: folder };
  };

  it('puts everything into an image, says what that lacks, and takes all of it away again', () => {
    const before = image.list();
    const { stdout } = installed();
    assert.match(stdout, /there is no node in .* yet/);
    assert.match(stdout, /apt-get install --no-install-recommends lxc nftables squashfs-tools/);
    const build = readlinkSync(join(image.root, 'usr/lib/berth/current'));
    for (const path of [
      'usr/bin/berth',
      'usr/bin/pvcontrol',
      `usr/lib/berth/${build}/state-svc.js`,
      'usr/lib/berth/current/LICENSE',
      'usr/lib/berth/current/LICENSES.txt',
      'usr/lib/systemd/system/berth.service',
      'usr/lib/sysusers.d/berth.conf',
      'usr/share/bash-completion/completions/pvcontrol',
      'usr/lib/udev/rules.d/85-berth-network.rules',
      'etc/pantavisor/pantavisor.config',
      'var/pantavisor/storage',
    ]) {
      assert.ok(existsSync(join(image.root, path)), path);
    }
    assert.match(image.read('etc/passwd'), /^berth-state:x:60804:60804:/m);
    assert.match(image.read('etc/group'), /^berth-state:x:60804:$/m);
    assert.match(image.read('etc/pantavisor/pantavisor.config'), /^PV_SYSTEM_INIT_MODE=appengine$/m);
    gone();
    assert.deepEqual(differences(before, image.list()), []);
  });

  it('changes nothing when it runs again, and leaves a configuration that somebody changed', () => {
    const build = smallBuild();
    installed(['--mode', 'embedded', '--storage', '/data/berth'], build);
    const once = image.list();
    installed([], build);
    assert.deepEqual(differences(once, image.list()), []);
    const config = 'etc/pantavisor/pantavisor.config';
    image.write(config, `${image.read(config)}PV_LOG_LEVEL=debug\n`);
    const { stdout } = installed(['--mode', 'appengine', '--storage', '/data/other'], build);
    assert.match(stdout, /--mode appengine does not hold, embedded does: write PV_SYSTEM_INIT_MODE=appengine into \//);
    assert.match(stdout, /--storage \/data\/other does not hold, \/data\/berth does/);
    assert.doesNotMatch(installed(['--mode', 'embedded', '--storage', '/data/berth/'], build).stdout, /does not hold/);
    assert.match(image.read(config), /^PV_SYSTEM_INIT_MODE=embedded\n(.*\n)*PV_STORAGE_MNTPOINT=\/data\/berth$/m);
    const unit = image.read('usr/lib/systemd/system/berth.service');
    assert.match(unit, /^RequiresMountsFor=\/data\/berth$/m);
    // A bridge of the host's own that a pool uses would be made by Berth.
    assert.match(unit, /^After=.* network\.target /m);
    assert.match(gone().stdout, /pantavisor.config was changed and stays/);
    assert.match(image.read(config), /^PV_LOG_LEVEL=debug$/m);
  });

  it('masks lxc-net, and takes its own mask away but not one that was there', () => {
    const build = smallBuild();
    const units = join(image.root, 'etc/systemd/system');
    installed(['--init', 'systemd'], build);
    assert.equal(readlinkSync(join(units, 'lxc-net.service')), '/dev/null');
    installed(['--init', 'systemd'], build);
    gone();
    assert.equal(existsSync(units), false);
    for (const target of ['/dev/null', '/nowhere/lxc-net.service']) {
      mkdirSync(units, { recursive: true });
      symlinkSync(target, join(units, 'lxc-net.service'));
      const before = image.list();
      installed(['--init', 'systemd'], build);
      installed(['--init', 'systemd'], build);
      gone();
      assert.deepEqual(differences(before, image.list()), []);
      rmSync(units, { recursive: true });
    }
  });

  it('keeps the storage when Berth goes, unless it is to be purged', () => {
    const before = image.list();
    installed([], smallBuild());
    image.write('var/pantavisor/storage/trails/0/.pvr/json', '{}');
    assert.match(gone().stdout, /\/var\/pantavisor\/storage stays/);
    assert.equal(image.read('var/pantavisor/storage/trails/0/.pvr/json'), '{}');
    installed([], smallBuild());
    gone(['--purge']);
    assert.deepEqual(differences(before, image.list()), ['+ var: folder 755']);
  });

  it('upgrades: the new build at once, the old one and what only it had gone', () => {
    const before = image.list();
    installed(['--init', 'openrc'], smallBuild());
    const old = readlinkSync(join(image.root, 'usr/lib/berth/current'));
    for (const path of [
      'usr/lib/berth/init-run',
      'usr/lib/berth/init-stop',
      'usr/lib/berth/uninstall',
      'etc/init.d/berth',
    ]) {
      assert.equal(spawnSync('sh', ['-n', join(image.root, path)]).status, 0, path);
      assert.doesNotMatch(image.read(path), /@[A-Z]+@/);
    }
    installed(['--init', 'systemd'], smallBuild('two'));
    assert.notEqual(readlinkSync(join(image.root, 'usr/lib/berth/current')), old);
    assert.equal(existsSync(join(image.root, 'usr/lib/berth', old)), false);
    assert.equal(existsSync(join(image.root, 'etc/init.d/berth')), false);
    gone();
    assert.deepEqual(differences(before, image.list()), []);
  });

  it('removes what is left of a build whose removal was cut short, and never takes it for whole', () => {
    installed([], smallBuild());
    const whole = image.list();
    const old = readlinkSync(join(image.root, 'usr/lib/berth/current'));
    installed([], smallBuild('two'));
    image.write(`usr/lib/berth/${old}/pvcontrol.js`, '// one\n');
    installed([], smallBuild('two'));
    assert.equal(existsSync(join(image.root, 'usr/lib/berth', old)), false);
    image.write(`usr/lib/berth/${old}/pvcontrol.js`, '// one\n');
    installed([], smallBuild());
    assert.deepEqual(differences(whole, image.list()), []);
  });

  /** Runs an installer that is killed where it puts the `count`-th thing in its place, or sorts its manifest; false when it needs fewer. */
  const killedAt = (count: number, environment: Readonly<Record<string, string>>): boolean => {
    const temporary = mkdtempSync(join(tmpdir(), 'berth-install-'));
    folders.push(temporary);
    const stand =
      '#!/bin/sh\necho >> "$TMPDIR/moves"\n[ "$(wc -l < "$TMPDIR/moves")" -ne "$KILLED_AT" ] || kill -s KILL 0\n';
    for (const program of ['mv', 'sort']) {
      writeFileSync(join(temporary, program), `${stand}exec /usr/bin/${program} "$@"\n`, { mode: 0o755 });
    }
    const path = `${temporary}:${process.env.PATH ?? ''}`;
    const words = [join(ROOT, 'scripts/install'), '--destdir', image.root, '--init', 'systemd'];
    const { status, signal, stderr } = spawnSync('setsid', words, {
      encoding: 'utf8',
      env: cleanEnvironment({ ...environment, TMPDIR: temporary, PATH: path, KILLED_AT: String(count) }),
    });
    assert.ok(status === 0 || signal === 'SIGKILL', `${status}: ${stderr}`);
    return status !== 0;
  };

  it('leaves nothing untold when it is killed half-way, wherever that is, and can be run again', () => {
    const before = image.list();
    const build = smallBuild();
    let count = 1;
    while (killedAt(count, build)) {
      // The next one is killed soon, and forgets nothing of what this one did.
      if (count % 5 === 0) killedAt(3, build);
      gone();
      assert.deepEqual(differences(before, image.list()), [], `killed at its move ${count}`);
      count++;
    }
    const whole = image.list();
    gone();
    assert.ok(count > 15, `${count} moves`);
    for (let at = 1; at < count; at += 4) killedAt(at, build);
    installed(['--init', 'systemd'], build);
    assert.deepEqual(differences(whole, image.list()), []);
    gone();
    assert.deepEqual(differences(before, image.list()), []);
  });

  it('adds lines to an inittab and takes them away, for busybox and for sysvinit', () => {
    const lib = '/usr/lib/berth';
    for (const [table, expected] of [
      [
        '::sysinit:/etc/init.d/rcS\n',
        `::sysinit:/etc/init.d/rcS\n::respawn:${lib}/init-run\n::shutdown:${lib}/init-stop going-down\n`,
      ],
      [
        'id:2:initdefault:\nl0:0:wait:/etc/init.d/rc 0\n',
        `brst:06:wait:${lib}/init-stop going-down\nid:2:initdefault:\nl0:0:wait:/etc/init.d/rc 0\nbrth:023456:respawn:${lib}/init-run\n`,
      ],
    ] as const) {
      image.write('etc/inittab', table);
      installed(['--init', 'inittab'], smallBuild());
      installed(['--init', 'inittab'], smallBuild());
      assert.equal(image.read('etc/inittab').replaceAll(/^#.*\n/gm, ''), expected);
      gone();
      assert.equal(image.read('etc/inittab'), table);
    }
  });

  it('brings a Node of its own: a program, or a version that is fetched and checked; and keeps it over upgrades', () => {
    const mirror = mkdtempSync(join(tmpdir(), 'berth-mirror-'));
    folders.push(mirror);
    const name = 'node-v22.12.0-linux-arm64';
    const make = `mkdir -p v22.12.0 ${name}/bin && cp /bin/true ${name}/bin/node && echo free > ${name}/LICENSE &&
      tar -czf v22.12.0/${name}.tar.gz ${name} && cd v22.12.0 && sha256sum ${name}.tar.gz > SHASUMS256.txt`;
    assert.equal(spawnSync('sh', ['-c', make], { cwd: mirror }).status, 0);
    const environment = { ...smallBuild(), BERTH_NODE_MIRROR: `file://${mirror}`, BERTH_NODE_ARCH: 'arm64' };
    const fetched = image.install(['--with-node', '22.12.0'], environment);
    // What this machine can run is asked for its version, and true(1) says nothing.
    assert.match(fetched.stderr, /is needed; .*\/node\/bin\/node is/);
    writeFileSync(join(mirror, 'v22.12.0/SHASUMS256.txt'), `${'0'.repeat(64)}  ${name}.tar.gz\n`);
    const changed = image.install(['--with-node', '22.12.0'], environment);
    assert.match(changed.stderr, /does not have the checksum that SHASUMS256.txt says/);
    const nowhere = image.install(['--with-node', '22.13.0'], environment);
    assert.match(nowhere.stderr, /v22.13.0\/SHASUMS256.txt cannot be had/);

    installed(['--with-node', process.execPath], smallBuild());
    assert.match(
      image.read('usr/bin/berth'),
      /^node=\/usr\/lib\/berth\/current\/node\/bin\/node\n\[ -x .* \|\| node=node\nexec/m,
    );
    const own = join(image.root, 'usr/lib/berth/current/node/bin/node');
    assert.equal(spawnSync(own, ['--version'], { encoding: 'utf8' }).stdout.trim(), process.version);
    assert.match(installed([], smallBuild('two')).stdout, /keeps its own Node/);
    assert.ok(existsSync(own));
    installed(['--without-node'], smallBuild());
    assert.equal(existsSync(own), false);
  });

  it('refuses what was said wrongly, and touches nothing', () => {
    const before = image.list();
    for (const [words, status, message] of [
      [['--nonsense'], 2, /no option '--nonsense'/],
      [['--prefix', 'usr'], 2, /--prefix 'usr' is not an absolute path/],
      [['--prefix', '/opt/a b'], 2, /--prefix \/opt\/a b: use letters/],
      [['--prefix'], 2, /--prefix needs a value/],
      [['--storage=/a/../b'], 2, /--storage \/a\/..\/b: write it without/],
      [['--mode', 'standalone'], 2, /--mode standalone: must be appengine or embedded/],
      [['--init', 'upstart'], 2, /--init upstart: must be systemd/],
      [['--with-node', '/nowhere/node'], 1, /--with-node \/nowhere\/node: is no program, folder or version/],
      [['--with-node', '/bin/true'], 1, /--with-node \/bin\/true: is a script/],
    ] as const) {
      const ran = image.install(words);
      assert.deepEqual([ran.status, message.test(ran.stderr)], [status, true], ran.stderr);
    }
    // With a second mistake, so that nothing is done here whatever becomes of the first.
    for (const root of ['', '/', '//', '/tmp/..']) {
      for (const ran of [
        image.install(['--mode', 'nonsense', '--destdir', root]),
        image.uninstall(['--prefix', '/nowhere', `--destdir=${root}`]),
      ]) {
        assert.deepEqual(
          [ran.status, /--destdir \S+ is the root of this machine/.test(ran.stderr)],
          [2, true],
          ran.stderr,
        );
      }
    }
    const ran = image.install([], { BERTH_DIST: '/nowhere' });
    assert.match(ran.stderr, /there is no build in \/nowhere: make one with npm run build/);
    assert.match(image.uninstall().stderr, /there is no Berth in .*lib\/berth\/manifest/);
    assert.deepEqual(differences(before, image.list()), []);
  });
});

describe('scripts/install on the machine itself', () => {
  it('gives it commands and users, and none of them is left after scripts/uninstall', async (test) => {
    const machine = await coverMachine();
    try {
      const done = (command: string): string => {
        const ran = machine.run(command);
        assert.equal(ran.status, 0, `${command}\n${ran.stdout}${ran.stderr}`);
        return ran.stdout;
      };
      // Backups of useradd(8) are its own; and the size of a folder is its file system's.
      const list = `find /etc /usr/local /var/pantavisor /usr/lib/systemd -xdev -not -name '*-' \\( -type d -printf '%p %m\\n' -o -type f -printf '%p %m %s\\n' -o -printf '%p %l\\n' \\) | LC_ALL=C sort || :`;
      const before = done(list);
      assert.match(done('scripts/install'), /is in \/usr\/local\/lib\/berth/);
      assert.match(
        done('berth --version && id -u berth-net && pvcontrol --help'),
        /^\d+\.\d+\.\d+ \(build \S+\)\n60803\nUsage/,
      );
      done('scripts/install');
      const verified = machine.run('systemd-analyze verify /usr/local/lib/systemd/system/berth.service');
      if (verified.status === 127) test.diagnostic('there is no systemd-analyze here');
      else assert.doesNotMatch(verified.stderr, /berth/);
      assert.match(machine.run('su -s /bin/sh nobody -c scripts/install').stderr, /must be root/);
      done('/usr/local/lib/berth/uninstall');
      assert.deepEqual(differences(before.split('\n'), done(list).split('\n')), []);
    } finally {
      await machine.close();
    }
  });

  it('has the containers stopped before init lets go of Berth, and none started again', async () => {
    const machine = await coverMachine();
    try {
      const table = 'printf "id:2:initdefault:\\n" > /etc/inittab';
      assert.equal(machine.run(`${table} && scripts/install --init inittab --no-start`).status, 0);
      // Stands in for `berth run`: what there is when it is to stop the containers.
      const program = `
        const { existsSync, readFileSync, writeFileSync } = require('node:fs');
        process.on('SIGINT', () => {
          const waits = existsSync('/run/berth.going-down');
          writeFileSync('/run/seen', [waits, readFileSync('/etc/inittab', 'utf8').includes('init-run')].join(' '));
          process.exit();
        });
        writeFileSync('/run/berth.pid', String(process.pid));
        setInterval(() => {}, 1e6);`;
      const berth = machine.start(`node -e "${program}" /usr/local/lib/berth/stand-in`);
      await eventually('the stand-in', PATIENCE_MS, () => machine.run('test -s /run/berth.pid').status === 0);
      const gone = machine.run('/usr/local/lib/berth/uninstall');
      assert.equal(gone.status, 0, gone.stderr);
      if (berth.exitCode === null) await once(berth, 'exit');
      assert.equal(machine.run('cat /run/seen').stdout, 'true true');
      assert.equal(machine.run('cat /etc/inittab; ls -d /run/berth.*').stdout, 'id:2:initdefault:\n');
    } finally {
      await machine.close();
    }
  });

  it('names what is missing', async () => {
    const machine = await coverMachine();
    try {
      const hidden = machine.run('rm /usr/sbin/nft /usr/bin/lxc-start && scripts/install');
      assert.equal(hidden.status, 1);
      assert.match(hidden.stderr, /missing: lxc nftables; apt-get install --no-install-recommends lxc nftables/);
      const old =
        'mkdir /run/old && printf "#!/bin/sh\\n[ \\"\\$1\\" = --version ] && echo v18.1.0\\n" > /run/old/node && chmod +x /run/old/node';
      const wrong = machine.run(`${old} && PATH=/run/old:$PATH scripts/install`);
      assert.match(
        wrong.stderr,
        /Node 20.19 or later of 20, or 22.12 or newer, is needed; \/run\/old\/node is v18.1.0/,
      );
      assert.equal(machine.run('ls /usr/local/lib/berth').status, 2);
    } finally {
      await machine.close();
    }
  });
});
