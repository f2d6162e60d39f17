// Pools with NAT and the FORWARD chain of others: their rules hold, and their policy stops no pool.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, it } from 'node:test';
import { attach } from '../../services/net-svc/attachments.ts';
import { iptables, nftables } from '../../services/net-svc/nat-command.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { clear, makeOutside, namespaces, restart } from './host.ts';
import { internal, lab, lan, leaseOf, pings, reaches, run } from './kernel.ts';
import { BY_HAND, DOCKER, DOCKER_28, UFW, UFW_REJECT } from './rule-sets.ts';
import { watchRules } from './watchers.ts';

reexecInNamespaces(import.meta.filename);

beforeEach(clear);

/** With that script in the place of iptables and its kin, which are in /run/real. */
async function withIptables(script: string, act: () => Promise<void>): Promise<void> {
  const real = run(['readlink', '-f', run(['which', 'iptables-save']).trim()]).trim();
  mkdirSync('/run/real', { recursive: true });
  for (const name of ['iptables-save', 'iptables-restore']) copyFileSync(real, `/run/real/${name}`);
  writeFileSync('/run/script', script, { mode: 0o755 });
  run(['mount', '--bind', '/run/script', real]);
  try {
    await act();
  } finally {
    run(['umount', real]);
  }
}

describe('a FORWARD chain that somebody else lets drop', () => {
  for (const backend of [nftables, iptables]) {
    it(`is passed by rules of ours, with ${backend.name}, and named in health; their rules stay byte-identical`, async () => {
      const outside = makeOutside();
      run(['iptables', '-P', 'FORWARD', 'DROP']);
      run(['iptables', '-N', 'DOCKER-USER']);
      run(['iptables', '-A', 'FORWARD', '-j', 'DOCKER-USER']);
      run(['iptables', '-A', 'FORWARD', '-i', 'docker0', '-j', 'ACCEPT']);
      const foreign = (): string =>
        run(['iptables-save', '-t', 'filter'])
          .split('\n')
          .filter((line) => !line.startsWith('#') && !line.includes('BERTH'))
          .join('\n')
          .replaceAll(/\[\d+:\d+\]/g, '');
      const before = foreign();
      const net = restart([backend]);
      await net.configure([internal, lab]);
      assert.deepEqual(
        net.healthReasons().map(({ code, subject }) => ({ code, subject })),
        [{ code: 'FORWARD_DROPPED', subject: 'ip filter FORWARD' }],
      );
      assert.ok(net.lines.includes('chain ip filter FORWARD drops what is forwarded; let the pools through it'));
      attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
      attach(namespaces, 'd', [leaseOf(lab, 'd', 2)]);
      assert.ok(reaches(outside, namespaces.pathOf('c')));
      assert.ok(!pings(outside, namespaces.pathOf('d')));
      assert.equal(foreign(), before);
      const rules = await watchRules();
      await restart([backend]).configure([internal, lab]);
      assert.deepEqual(await rules.changes(), []);
      run(['iptables', '-P', 'FORWARD', 'ACCEPT']);
      const later = restart([backend]);
      await later.configure([internal, lab]);
      assert.deepEqual(later.healthReasons(), []);
      assert.doesNotMatch(run(['iptables-save']), /BERTH-FORWARD/);
      run(['iptables', '-P', 'FORWARD', 'DROP']);
      await restart([backend]).configure([internal]);
      await restart([backend]).configure([]);
      assert.doesNotMatch(run(['iptables-save']), /BERTH/);
      assert.equal(foreign(), before);
    });
  }

  for (const [name, rules] of Object.entries({ DOCKER, DOCKER_28, UFW, UFW_REJECT, BY_HAND })) {
    it(`lets the pools out as it is commonly written, and drops what it names: ${name}`, async () => {
      const outside = makeOutside();
      run(['sh', '-c', 'printf %s "$1" | iptables-restore --noflush', 'sh', rules]);
      const forbidden = '192.0.2.3';
      run(['ip', 'addr', 'add', `${forbidden}/24`, 'dev', 'up0'], namespaces.pathOf('outside'));
      run(['iptables', '-I', 'FORWARD', '-d', forbidden, '-j', 'DROP']);
      const net = restart();
      await net.configure([internal]);
      attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
      assert.ok(reaches('10.0.5.1', namespaces.pathOf('c')));
      const server = spawn('nsenter', [
        `--net=${namespaces.pathOf('outside')}`,
        'busybox',
        'nc',
        '-ll',
        '-p',
        '7',
        '-e',
        'true',
      ]);
      try {
        const connects = (address: string): boolean =>
          spawnSync('nsenter', [`--net=${namespaces.pathOf('c')}`, 'busybox', 'nc', '-w', '1', address, '7']).status ===
          0;
        await eventually('a connection', PATIENCE_MS, () => connects(outside));
        assert.ok(!connects(forbidden));
      } finally {
        server.kill('SIGKILL');
        await once(server, 'exit');
      }
      const watcher = await watchRules();
      await restart().configure([internal]);
      assert.deepEqual(await watcher.changes(), []);
    });
  }

  it('is one, too, whose last rule refuses what its policy would accept', async () => {
    const outside = makeOutside();
    run(['iptables', '-A', 'FORWARD', '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT']);
    const refusal = ['FORWARD', '-j', 'REJECT', '--reject-with', 'icmp-host-prohibited'];
    run(['iptables', '-A', ...refusal]);
    const net = restart();
    await net.configure([internal]);
    attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
    assert.ok(reaches(outside, namespaces.pathOf('c')));
    const [reason, ...others] = net.healthReasons();
    assert.deepEqual(others, []);
    assert.deepEqual([reason?.code, reason?.subject], ['FORWARD_DROPPED', 'ip filter FORWARD']);
    assert.match(reason?.message ?? '', /drops by a rule for all what is forwarded; the pools are let through/);
    const watcher = await watchRules();
    await restart().configure([internal]);
    assert.deepEqual(await watcher.changes(), []);
    run(['iptables', '-D', ...refusal]);
    await net.repair(new Set(['rules']), () => undefined);
    assert.deepEqual(net.healthReasons(), []);
    assert.doesNotMatch(run(['iptables-save']), /BERTH-FORWARD/);
    run(['iptables', '-N', 'THEIRS']);
    run(['iptables', '-I', 'FORWARD', '1', '-j', 'THEIRS']);
    run(['iptables', '-A', 'THEIRS', '-s', '203.0.113.0/24', '-j', 'ACCEPT']);
    run(['iptables', '-A', 'THEIRS', '-j', 'DROP']);
    await net.repair(new Set(['rules']), () => undefined);
    assert.match(
      net.healthReasons()[0]?.message ?? '',
      /its chain THEIRS drops .*allow 10\.0\.5\.0\/24 on pvbr0 there/,
    );
  });

  it('keeps others’ rules before ours, also those that come later and those behind a jump of a former build', async () => {
    const outside = makeOutside();
    run(['iptables', '-P', 'FORWARD', 'DROP']);
    const net = restart();
    await net.configure([internal]);
    attach(namespaces, 'c', [leaseOf(internal, 'c', 2)]);
    assert.ok(reaches(outside, namespaces.pathOf('c')));
    run(['iptables', '-A', 'FORWARD', '-d', outside, '-j', 'DROP']);
    const repaired: string[] = [];
    await net.repair(new Set(['rules']), (what) => repaired.push(what));
    assert.deepEqual(repaired, ['let the pools through the FORWARD chain']);
    assert.ok(!pings(outside, namespaces.pathOf('c')));
    run(['iptables', '-D', 'FORWARD', '-j', 'BERTH-FORWARD']);
    run(['iptables', '-I', 'FORWARD', '1', '-j', 'BERTH-FORWARD']);
    assert.ok(reaches(outside, namespaces.pathOf('c')));
    await restart().configure([internal]);
    assert.ok(!pings(outside, namespaces.pathOf('c')));
    assert.equal(run(['iptables-save']).match(/-A FORWARD -j BERTH-FORWARD/g)?.length, 1);
  });

  it('is told where a chain before our rules drops what it does not accept', async () => {
    run(['iptables', '-P', 'FORWARD', 'DROP']);
    run(['iptables', '-N', 'DOCKER-USER']);
    run(['iptables', '-A', 'FORWARD', '-j', 'DOCKER-USER']);
    run(['iptables', '-A', 'DOCKER-USER', '-s', '203.0.113.0/24', '-j', 'ACCEPT']);
    run(['iptables', '-A', 'DOCKER-USER', '-j', 'DROP']);
    const net = restart();
    await net.configure([internal]);
    const [reason, ...others] = net.healthReasons();
    assert.deepEqual(others, []);
    assert.equal(reason?.subject, 'ip filter FORWARD');
    assert.match(reason?.message ?? '', /its chain DOCKER-USER drops .*allow 10\.0\.5\.0\/24 on pvbr0 there/);
  });

  it('is passed after a while where the programs did not take it at once, although nothing changed', async () => {
    run(['iptables', '-P', 'FORWARD', 'DROP']);
    const net = restart([nftables], 20);
    await withIptables('#!/bin/sh\nexit 1\n', async () => {
      await net.configure([internal]);
      assert.match(net.healthReasons()[0]?.message ?? '', /ended with 1/);
    });
    await eventually('the way', PATIENCE_MS, () => run(['iptables-save']).includes('-A FORWARD -j BERTH-FORWARD'));
    await eventually('word of it', PATIENCE_MS, () =>
      /let through it by rules of ours/.test(net.healthReasons()[0]?.message ?? ''),
    );
  });

  it('goes on to be passed where the programs cannot tell whether it still drops', async () => {
    run(['iptables', '-A', 'FORWARD', '-j', 'REJECT']);
    const net = restart([nftables]);
    await net.configure([internal]);
    const health = net.healthReasons();
    assert.equal(health.length, 1);
    const once = `#!/bin/sh\n[ -e /run/asked ] || { touch /run/asked; exit 1; }\nexec /run/real/$(basename $0) "$@"\n`;
    await withIptables(once, async () => {
      await net.repair(new Set(['rules']), assert.fail);
      assert.ok(existsSync('/run/asked'));
      assert.match(run(['iptables-save']), /-A FORWARD -j BERTH-FORWARD/);
      assert.deepEqual(net.healthReasons(), health);
    });
    rmSync('/run/asked');
  });

  it('is told with the way out where no rule of ours can override it', async () => {
    run(['nft', 'add', 'table', 'inet', 'fw']);
    run(['nft', 'add', 'chain', 'inet', 'fw', 'gate', '{ type filter hook forward priority 10; policy drop; }']);
    run(['ip', 'link', 'add', lan.bridge, 'type', 'bridge']);
    const net = restart();
    await net.configure([internal, lan]);
    run(['ip', 'link', 'del', lan.bridge]);
    const [reason, ...others] = net.healthReasons();
    assert.deepEqual(others, []);
    assert.equal(reason?.code, 'FORWARD_DROPPED');
    assert.equal(reason?.subject, 'inet fw gate');
    assert.match(reason?.message ?? '', /allow 10\.0\.5\.0\/24 on pvbr0 there/);
    assert.doesNotMatch(run(['iptables-save']), /BERTH/);
    run(['nft', 'delete', 'table', 'inet', 'fw']);
    await net.repair(new Set(['rules']), assert.fail);
    assert.deepEqual(net.healthReasons(), []);
  });
});
