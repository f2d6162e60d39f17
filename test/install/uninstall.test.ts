// scripts/uninstall on a machine where Berth has left containers running: they are stopped first, or nothing is removed.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { coverMachine } from '../kit/covered-machine.ts';
import { eventually } from '../kit/eventually.ts';

const PATIENCE_MS = 20_000;

describe('scripts/uninstall', () => {
  it('stops containers that Berth left running, or does so by hand, and removes nothing where that cannot be', async () => {
    const machine = await coverMachine();
    try {
      const done = (command: string): string => {
        const ran = machine.run(command);
        assert.equal(ran.status, 0, `${command}\n${ran.stdout}${ran.stderr}`);
        return ran.stdout;
      };
      const left = (): string =>
        done(
          'grep " /run/pantavisor/pv/" /proc/mounts; ip -o link show type bridge; nft list tables; pgrep -a lxc-start; :',
        );
      const start = async (): Promise<ChildProcess> => {
        const berth = machine.start('berth run');
        for (const stream of [berth.stdout, berth.stderr]) stream?.resume();
        await eventually('containers', PATIENCE_MS, () => {
          const rows = machine.run('pvcontrol ls --json').stdout;
          return rows.match(/"status":"STARTED"/g)?.length === 2;
        });
        return berth;
      };
      const ended = async (berth: ChildProcess): Promise<void> => {
        if (berth.exitCode === null) await once(berth, 'exit');
      };
      done('scripts/install --no-start && berth pack test/examples/01-basic -o /var/pantavisor/storage');
      const first = await start();
      machine.signal(first, 'SIGTERM');
      await ended(first);
      assert.match(left(), /rootfs overlay.*pvbr0.*table ip berth.*lxc monitor/s);

      const config = '/etc/pantavisor/pantavisor.config';
      done(`cp ${config} /run/config && echo PV_STORAGE_MNTPOINT=/nowhere >> ${config}`);
      const before = left();
      const refused = machine.run('/usr/local/lib/berth/uninstall --purge');
      assert.equal(refused.status, 1, refused.stdout);
      const why =
        /not stopped, so nothing was removed: Berth does not start \(berth run: \S+config: PV_STORAGE_MNTPOINT \/nowhere: no such folder/;
      assert.match(refused.stderr, why);
      assert.equal(left(), before);
      done(
        `berth --version && ls /var/pantavisor/storage/trails/0 && grep berth-net /etc/passwd && cp /run/config ${config}`,
      );
      assert.equal(machine.run('ls -d /run/berth.*').stdout, '');

      assert.match(done('/usr/local/lib/berth/uninstall'), /starts Berth once more.*\n.*stops the containers/);
      assert.equal(left(), '');
      assert.equal(machine.run('ls /usr/local/lib/berth').status, 2);

      done('scripts/install --no-start');
      const second = await start();
      done('/usr/local/lib/berth/uninstall --purge');
      await ended(second);
      assert.equal(left(), '');
      assert.equal(machine.run('ls /var/pantavisor').status, 2);
    } finally {
      await machine.close();
    }
  });

  it('looks for what is left where the configuration says, however that is written', async () => {
    const machine = await coverMachine();
    try {
      const build =
        'mkdir -p /run/build/node_modules && touch /run/build/state-svc.js /run/build/node_modules/koffi.js';
      const commands = 'for f in berth pvcontrol; do echo "process.exit(1)" > /run/build/$f.js; done';
      const install = 'BERTH_DIST=/run/build scripts/install --init none';
      const config = 'echo "system.rundir = /run/link/pv/" >> /etc/pantavisor/pantavisor.config';
      const left = 'mkdir -p /run/real/pv/lxc && mount -t tmpfs berth-left /run/real/pv/lxc && ln -s real /run/link';
      const made = machine.run([build, commands, install, config, left].join(' && '));
      assert.equal(made.status, 0, made.stderr);
      const refused = machine.run('/usr/local/lib/berth/uninstall');
      assert.equal(refused.status, 1);
      assert.match(refused.stderr, /containers are not stopped, so nothing was removed: Berth does not start/);
      const there = '/etc/pantavisor/pantavisor.config';
      const relative = machine.run(
        `cp ${there} /run/config && echo PV_SYSTEM_RUNDIR=real/pv >> ${there} && cd /run && /usr/local/lib/berth/uninstall`,
      );
      assert.equal(relative.status, 1, relative.stdout);
      assert.match(
        relative.stderr,
        /config: PV_SYSTEM_RUNDIR real\/pv is not an absolute path, so nothing was removed/,
      );
      const image = 'mkdir /run/image && BERTH_DIST=/run/build scripts/install --destdir /run/image';
      const fromImage = machine.run(`${image} && scripts/uninstall --destdir /run/image`);
      assert.equal(fromImage.status, 0, fromImage.stderr);
      const gone = machine.run(`cp /run/config ${there} && umount /run/real/pv/lxc && /usr/local/lib/berth/uninstall`);
      assert.equal(gone.status, 0, gone.stderr);
    } finally {
      await machine.close();
    }
  });
});
