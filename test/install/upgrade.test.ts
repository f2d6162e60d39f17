// An upgrade of the machine itself by scripts/install, over the machine's folders where nothing of it can change: systemd is a stand-in.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type CoveredMachine, coverMachine, type Ran } from '../kit/covered-machine.ts';
import { eventually } from '../kit/eventually.ts';

const PATIENCE_MS = 20_000;
const LXC_NET = 'is-active --quiet lxc-net.service';
const RESTART = 'restart berth.service';

/** Writes down what it is asked, fails once at what /run/once says, and always at what /run/fails says. */
const SYSTEMCTL = `#!/bin/sh
echo "$*" >> /run/asked
if grep -qx -e "$*" /run/once; then : > /run/once; exit 1; fi
! grep -qx -e "$*" /run/fails
`;

describe('scripts/install, an upgrade under systemd', () => {
  let machine: CoveredMachine;
  beforeEach(async () => {
    machine = await coverMachine();
    done(
      `mkdir -p /run/systemd/system && cat > /usr/local/sbin/systemctl <<'END'\n${SYSTEMCTL}END\nchmod +x /usr/local/sbin/systemctl`,
    );
    for (const name of ['one', 'two']) {
      // What the command is of, and which Node runs it.
      done(`mkdir -p /run/${name}/node_modules && cd /run/${name} && for f in berth pvcontrol state-svc node_modules/koffi; do
        echo 'if (process.argv[2] === "run") console.log("${name} " + process.execPath)' > $f.js; done`);
    }
  });
  afterEach(() => machine.close());

  const done = (command: string): string => {
    const ran = machine.run(command);
    assert.equal(ran.status, 0, `${command}\n${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  };
  const install = (name: string, words = '', { fails = LXC_NET, fail = '' } = {}): Ran =>
    machine.run(
      `: > /run/asked; echo '${fails}' > /run/fails; echo '${fail}' > /run/once; BERTH_DIST=/run/${name} scripts/install ${words}`,
    );
  const installed = (name: string, words = ''): string => {
    const { status, stdout, stderr } = install(name, words);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const asked = (): readonly string[] => done('grep -v -e reload -e is-active.*lxc /run/asked').trim().split('\n');
  const current = (): string => done('readlink /usr/local/lib/berth/current').trim();
  /** Stands in for a service of that build. */
  const runs = async (build: string): Promise<ChildProcess> => {
    const program = `require('node:fs').writeFileSync('/run/runs', ''); setInterval(() => {}, 1e6)`;
    const child = machine.start(`node -e "${program}" /usr/local/lib/berth/${build}/state-svc.js`);
    await eventually('the stand-in', PATIENCE_MS, () => machine.run('rm /run/runs').status === 0);
    return child;
  };
  const end = async (child: ChildProcess): Promise<void> => {
    machine.signal(child, 'SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };

  it('restarts it, and goes back to the build before when that fails', () => {
    const first = install('one', '', { fails: `is-active --quiet berth.service\n${LXC_NET}` });
    assert.equal(first.status, 0, first.stderr);
    assert.deepEqual(asked(), ['is-active --quiet berth.service', 'start berth.service']);
    const before = current();

    installed('one');
    assert.deepEqual(asked(), ['is-active --quiet berth.service']);

    const broken = install('two', '', { fail: RESTART });
    assert.equal(broken.status, 1);
    assert.match(broken.stderr, /does not start, so .* runs again: journalctl -u berth/);
    assert.equal(current(), before);
    assert.deepEqual(asked().slice(1), [RESTART, RESTART]);

    const neither = install('two', '', { fails: `${RESTART}\n${LXC_NET}` });
    assert.equal(neither.status, 1);
    assert.match(neither.stderr, /does not start, and neither does .*, which was there before/);
    assert.equal(current(), before);

    const good = install('two', '', { fails: '' });
    assert.equal(good.status, 0, good.stderr);
    assert.match(good.stdout, /stops lxc-net.service, and masks it/);
    assert.notEqual(current(), before);
    assert.equal(done('ls /usr/local/lib/berth').includes(before), false);

    // As a tree leaves it that has ended and kept its network.
    const left = 'mkdir -p /run/pantavisor/pv/netns && : > /run/pantavisor/pv/netns/.desired.json';
    const run = machine.run(
      `${left} && : > /run/asked && echo start berth.service > /run/fails && /usr/local/lib/berth/uninstall`,
    );
    assert.equal(run.status, 1);
    assert.match(run.stderr, /nothing was removed: Berth does not start \(journalctl -u berth\)/);
    assert.deepEqual(asked(), ['show --property MainPID --value berth.service', 'start berth.service']);
    assert.equal(machine.run('berth --version').status, 0);

    const gone = machine.run('rm -r /run/pantavisor; /usr/local/lib/berth/uninstall');
    assert.equal(gone.status, 0, gone.stderr);
    assert.deepEqual(asked().slice(-1), ['start lxc-net.service']);
  });

  it('goes back to a build that has its Node elsewhere, whichever of the two brought one of its own', () => {
    const own = '/usr/local/lib/berth/current/node/bin/node';
    installed('one');
    const first = done('berth run');
    // As installers wrote it that did not look for the Node at each start; in no PATH, for a Node that only it knows.
    const machineNode = first.trim().split(' ')[1];
    done(
      `cp ${machineNode} /usr/local/lib/its-node && printf '#!/bin/sh\\nexec /usr/local/lib/its-node /usr/local/lib/berth/current/berth.js "$@"\\n' > /usr/local/bin/berth`,
    );
    const its = done('berth run');
    assert.equal(its, 'one /usr/local/lib/its-node\n');
    assert.equal(install('two', '--with-node', { fail: RESTART }).status, 1);
    assert.equal(done('berth run'), its);
    installed('two', '--with-node');
    assert.equal(done('berth run'), `two ${done(`readlink -f ${own}`)}`);
    assert.equal(install('one', '--without-node', { fail: RESTART }).status, 1);
    assert.equal(done('berth run'), `two ${done(`readlink -f ${own}`)}`);
    installed('one', '--without-node');
    assert.equal(done('berth run'), first);
  });

  it('restarts what still runs an earlier build, and says so where it was told not to', async () => {
    installed('one');
    const first = current();
    const service = await runs(first);
    assert.match(installed('two', '--no-start'), new RegExp(`${first} runs on until Berth is started anew`));
    const second = current();
    assert.notEqual(second, first);

    // What fails then goes back to what ran.
    assert.equal(install('two', '', { fail: RESTART }).status, 1);
    assert.equal(current(), first);

    installed('two', '--no-start');
    installed('two');
    assert.deepEqual(asked(), ['is-active --quiet berth.service', RESTART]);
    assert.equal(current(), second);
    await end(service);
    installed('two');
    assert.deepEqual(asked(), ['is-active --quiet berth.service']);
    assert.equal(done('ls /usr/local/lib/berth').includes(first), false);
  });

  it('makes a build whole again that lost some of its content, and has Berth run that', () => {
    installed('one');
    const build = `/usr/local/lib/berth/${current()}`;
    done(`: > ${build}/state-svc.js && rm ${build}/pvcontrol.js`);
    assert.match(installed('one'), /was damaged, and is put there anew/);
    assert.equal(done(`cat ${build}/state-svc.js`), done('cat /run/one/state-svc.js'));
    assert.equal(done('pvcontrol run; ls -A /usr/local/lib/berth').includes('.new'), false);
    assert.deepEqual(asked(), ['is-active --quiet berth.service', RESTART]);
    // There is no other to go back to.
    done(`: > ${build}/state-svc.js`);
    assert.match(install('one', '', { fail: RESTART }).stderr, /Berth does not start: journalctl/);
  });
});
