import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { netContract } from '../../services/net-svc/contract.ts';
import { hostInterfaceName } from '../../services/net-svc/link-names.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { addresses, defaultRoutes, internal, lab, leaseOf, link, pings, run } from './kernel.ts';
import { dir, kill, openService } from './service.ts';
import { quiet, watchNetwork, watchRules } from './watchers.ts';

reexecInNamespaces(import.meta.filename);

const FORWARD = '/proc/sys/net/ipv4/ip_forward';
const WEB = `${dir}/web`;
const hostName = hostInterfaceName('web', 'eth0');
const service = await openService();
const repaired: string[] = [];
let onRepaired = (): void => undefined;
service.ctl.subscribe(netContract, 'networkRepaired', {
  onEvent: ({ what }) => {
    repaired.push(...what);
    onRepaired();
  },
  onLost: () => assert.fail('events were lost'),
});
let child: ChildProcess;
/** A process that lives in the container's namespace, as its init would. */
let tenant: ChildProcess;

const rulesCount = (): number => run(['nft', 'list', 'ruleset']).match(/masquerade/g)?.length ?? 0;
const working = (): boolean =>
  rulesCount() === 1 &&
  readFileSync(FORWARD, 'utf8') === '1\n' &&
  link('pvbr0')?.flags.includes('UP') === true &&
  addresses('pvbr0').join() === '10.0.5.1/24' &&
  link('pvbr1') !== undefined &&
  link(hostName)?.master === 'pvbr0';

/** What is looked at may not be there yet. */
const holds = (look: () => boolean) => (): boolean => {
  try {
    return look();
  } catch {
    return false;
  }
};
const comes = (what: string, look: () => boolean): Promise<true> =>
  eventually(what, PATIENCE_MS, holds(look)).catch((error: unknown) =>
    assert.fail(`${error}; it said: ${service.log.join('\n')}`),
  );
/** Of each pass that repaired something. The log and the events come over pipes of their own, and either may be late. */
const repairLines = (): readonly string[] => service.log.filter((line) => line.includes('repaired: '));
const isTold = (told: RegExp): Promise<true> =>
  comes(`the event ${told}`, () => repaired.some((what) => told.test(what)));

/**
 * Makes net-svc compare everything, and resolves when it has: it takes what it hears together, and the cleared forwarding is what it
 * was told of last.
 */
async function looksAgain(): Promise<void> {
  repaired.length = 0;
  run(['ip', 'route', 'add', 'blackhole', '198.18.254.1']);
  run(['ip', 'route', 'del', 'blackhole', '198.18.254.1']);
  run(['nft', 'add', 'table', 'ip', 'watch_start']);
  run(['nft', 'delete', 'table', 'ip', 'watch_start']);
  run(['mount', '--bind', '/run/berth', '/run/berth']);
  run(['umount', '/run/berth']);
  writeFileSync(FORWARD, '0');
  await isTold(/^switch on net\.ipv4\.ip_forward$/);
}

before(async () => {
  child = service.serve();
  assert.ok((await service.net.configure({ pools: [internal, lab] })).ok);
  assert.ok((await service.net.attach({ container: 'web', interfaces: [leaseOf(internal, 'web', 2)] })).ok);
  assert.ok((await service.net.attach({ container: 'lab', interfaces: [leaseOf(lab, 'lab', 2)] })).ok);
  tenant = spawn('nsenter', [`--net=${WEB}`, 'busybox', 'sleep', '1000']);
  await comes('the tenant has moved in', () => statSync(`/proc/${tenant.pid}/ns/net`).ino === statSync(WEB).ino);
});
after(async () => {
  await kill(tenant);
  await kill(child);
  service.close();
});

interface Drift {
  readonly name: string;
  readonly harm: () => void;
  readonly back: () => boolean;
  readonly told: RegExp;
}

const inside = (): boolean =>
  addresses('eth0', WEB).join() === '10.0.5.2/24' &&
  defaultRoutes(WEB)[0]?.gateway === '10.0.5.1' &&
  pings('10.0.5.1', WEB);

const DRIFTS: readonly Drift[] = [
  {
    name: 'nft flush ruleset',
    harm: () => run(['nft', 'flush', 'ruleset']),
    back: () => rulesCount() === 1,
    told: /^set up NAT \(nftables\)$/,
  },
  {
    name: 'a deleted bridge',
    harm: () => run(['ip', 'link', 'del', 'pvbr0']),
    back: () => inside() && link('pvbr0')?.address === '02:00:0a:00:05:01',
    told: /^create bridge pvbr0$/,
  },
  {
    name: 'a bridge that was given another name, under which it would keep the way to the pool',
    // It may be brought up again before it is renamed, which some kernels refuse then, and be gone before it is up.
    harm: () => {
      const rename = 'until ip link set pvbr0 down && ip link set pvbr0 name renamed0; do :; done';
      run(['sh', '-c', `${rename}; ip link set renamed0 up || :`]);
    },
    back: () => link('renamed0') === undefined && pings('10.0.5.2', '') && inside(),
    told: /^delete bridge renamed0 that no pool uses$/,
  },
  {
    name: "a bridge's flushed address",
    harm: () => run(['ip', 'addr', 'flush', 'dev', 'pvbr0']),
    back: inside,
    told: /^add address 10\.0\.5\.1\/24 of bridge pvbr0$/,
  },
  {
    name: 'a bridge set down',
    harm: () => run(['ip', 'link', 'set', 'pvbr0', 'down']),
    back: inside,
    told: /^bring up bridge pvbr0$/,
  },
  {
    name: 'a deleted veth',
    harm: () => run(['ip', 'link', 'del', hostName]),
    back: inside,
    told: /^create veth veth\w+ for eth0 of web in pvbr0$/,
  },
  {
    name: 'a veth taken out of its bridge',
    harm: () => run(['ip', 'link', 'set', hostName, 'nomaster']),
    back: inside,
    told: /^put into pvbr0: veth/,
  },
  {
    name: 'a flushed address inside',
    harm: () => run(['ip', 'addr', 'flush', 'dev', 'eth0'], WEB),
    back: inside,
    told: /^add address 10\.0\.5\.2\/24 of eth0 of web$/,
  },
  {
    name: 'a default route deleted inside',
    harm: () => run(['ip', 'route', 'del', 'default'], WEB),
    back: inside,
    told: /^add default route through 10\.0\.5\.1 to web$/,
  },
  {
    name: 'ip_forward cleared',
    harm: () => writeFileSync(FORWARD, '0'),
    back: () => readFileSync(FORWARD, 'utf8') === '1\n',
    told: /^switch on net\.ipv4\.ip_forward$/,
  },
];

describe('drift of the network', () => {
  for (const { name, harm, back, told } of DRIFTS) {
    it(`is repaired: ${name}`, async (test) => {
      await comes('all is well before', working);
      repaired.length = 0;
      const startMs = performance.now();
      harm();
      await comes(name, () => working() && back());
      test.diagnostic(`${Math.round(performance.now() - startMs)} ms`);
      await isTold(told);
      await comes('a line of the log', () => repairLines().length > 0);
      assert.equal(JSON.parse(repairLines().at(-1) ?? '{}').src, 'net');
    });
  }

  it('is repaired: a namespace file unmounted under a container that lives', async () => {
    const { ino } = statSync(WEB);
    repaired.length = 0;
    run(['umount', '-l', WEB]);
    await isTold(/^bind the namespace of web again$/);
    await comes('the namespace', () => statSync(WEB).ino === ino && inside());
    assert.equal(statSync(`/proc/${tenant.pid}/ns/net`).ino, ino);
  });

  it('is repaired: a namespace file removed', async () => {
    const { ino } = statSync(WEB);
    repaired.length = 0;
    // It may be mounted again between the two.
    run(['sh', '-c', 'until umount -l "$1" && rm "$1"; do :; done', 'sh', WEB]);
    await isTold(/^bind the namespace of web again$/);
    await comes('the namespace', () => statSync(WEB).ino === ino && inside());
  });

  it('writes nothing when it looks again', async () => {
    await comes('all is well before', () => working() && inside());
    await looksAgain();
    await quiet();
    const watchers = [await watchNetwork(), await watchNetwork(WEB), await watchRules()];
    for (let round = 0; round < 3; round++) {
      await looksAgain();
      assert.deepEqual(repaired, ['switch on net.ipv4.ip_forward']);
    }
    for (const watcher of watchers) assert.deepEqual(await watcher.changes(), []);
    assert.deepEqual(repaired, ['switch on net.ipv4.ip_forward']);
  });

  it('is not what a container adds to its own namespace', async () => {
    run(['ip', 'addr', 'add', '10.9.9.9/16', 'dev', 'eth0'], WEB);
    run(['ip', 'route', 'replace', 'default', 'via', '10.9.0.1'], WEB);
    await comes('all is well', working);
    repaired.length = 0;
    run(['ip', 'link', 'set', 'pvbr0', 'down']);
    await isTold(/^bring up bridge pvbr0$/);
    assert.deepEqual(addresses('eth0', WEB), ['10.0.5.2/24', '10.9.9.9/16']);
    assert.deepEqual(defaultRoutes(WEB), [{ gateway: '10.9.0.1', dev: 'eth0' }]);
    run(['ip', 'route', 'replace', 'default', 'via', '10.0.5.1'], WEB);
    run(['ip', 'addr', 'del', '10.9.9.9/16', 'dev', 'eth0'], WEB);
    await comes('the inside', inside);
  });

  it('is not what was detached', async () => {
    assert.ok((await service.net.attach({ container: 'gone', interfaces: [leaseOf(lab, 'gone', 9)] })).ok);
    assert.ok((await service.net.detach({ container: 'gone' })).ok);
    repaired.length = 0;
    run(['ip', 'link', 'set', 'pvbr1', 'down']);
    await isTold(/^bring up bridge pvbr1$/);
    assert.equal(link(hostInterfaceName('gone', 'eth0')), undefined);
  });

  it('of the time when net-svc was dead is repaired by the next one, which nobody tells anything', async () => {
    const { ino } = statSync(WEB);
    await kill(child);
    run(['nft', 'flush', 'ruleset']);
    run(['ip', 'link', 'del', 'pvbr0']);
    run(['ip', 'link', 'del', hostName]);
    writeFileSync(FORWARD, '0');
    child = service.serve();
    await comes('everything', () => working() && inside());
    assert.equal(statSync(WEB).ino, ino);
  });

  it('is repaired: a macvlan’s flushed address, in a namespace that no veth leads into', async () => {
    run(['ip', 'link', 'add', 'parent0', 'type', 'veth', 'peer', 'name', 'parent1']);
    run(['ip', 'link', 'set', 'parent0', 'up']);
    const lan = { ...lab, name: 'lan', type: 'macvlan', bridge: 'parent0', subnet: '192.0.2.0/24' } as const;
    const pool = { ...lan, gateway: '192.0.2.1' };
    assert.ok((await service.net.configure({ pools: [internal, lab, pool] })).ok);
    assert.ok((await service.net.attach({ container: 'mac', interfaces: [leaseOf(pool, 'mac', 9)] })).ok);
    await quiet();
    // More than once: of the first time it may learn by a look that something else made it take.
    for (let times = 0; times < 4; times++) {
      repaired.length = 0;
      run(['ip', 'addr', 'flush', 'dev', 'eth0'], `${dir}/mac`);
      await isTold(/^add address 192\.0\.2\.9\/24 of eth0 of mac$/);
      await comes('the address', () => addresses('eth0', `${dir}/mac`).join() === '192.0.2.9/24');
    }
    assert.ok((await service.net.detach({ container: 'mac' })).ok);
    assert.ok((await service.net.configure({ pools: [internal, lab] })).ok);
    run(['ip', 'link', 'del', 'parent0']);
  });

  it('does not keep the service from ending when it is asked to', async () => {
    // While the kernel tells of all that was done it comes to wait for more, and nothing else wakes it.
    await quiet();
    const ended = once(child, 'exit');
    service.disconnect();
    const [code] = await ended;
    assert.equal(code, 0);
    child = service.serve();
    assert.ok((await service.net.listAttachments({})).ok);
  });

  it('of everybody else is repaired at once while one container undoes repairs of its own, who is named in health', async () => {
    assert.ok((await service.net.attach({ container: 'evil', interfaces: [leaseOf(internal, 'evil', 66)] })).ok);
    const fighter = spawn('nsenter', [`--net=${dir}/evil`, 'ip', '-batch', '-'], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    const contested = async (): Promise<string[]> => {
      const health = await service.ctlNet.health({});
      const reasons = health.ok ? health.value.reasons : [];
      return reasons.flatMap(({ code, subject }) => (code === 'NETWORK_CONTESTED' ? [subject] : []));
    };
    const isOfEvil = (what: string): boolean => what === 'bring up eth0 of evil';
    try {
      fighter.stdin.on('error', () => undefined);
      let answered = 0;
      repaired.length = 0;
      onRepaired = () => {
        const times = repaired.filter(isOfEvil).length;
        if (times > answered || answered === 0) fighter.stdin.write('link set eth0 down\n');
        answered = times;
      };
      onRepaired();
      await eventually('the fight is noticed', 6 * PATIENCE_MS, async () => (await contested()).length > 0);
      repaired.length = 0;
      for (let times = 1; times <= 3; times++) {
        run(['nft', 'delete', 'table', 'ip', 'berth']);
        await comes('the rules', () => repaired.filter((what) => what.startsWith('set up NAT')).length === times);
      }
      // That one waits for 5 s between two repairs.
      assert.ok(repaired.filter(isOfEvil).length < 3, repaired.join('; '));
      assert.deepEqual(await contested(), ['container evil']);
      assert.ok(link('eth0', `${dir}/evil`)?.flags.includes('UP') === false, 'it rests');
      // Put off is not forgotten.
      await isTold(/^bring up eth0 of evil$/);
    } finally {
      onRepaired = () => undefined;
      await kill(fighter);
      assert.ok((await service.net.detach({ container: 'evil' })).ok);
    }
  });

  it('by somebody who fights is repaired slowly and told in health', async (test) => {
    repaired.length = 0;
    const codes = async (): Promise<string[]> => {
      const health = await service.ctlNet.health({});
      return health.ok ? health.value.reasons.map(({ code }) => code) : [];
    };
    const fighter = spawn('ip', ['-batch', '-'], { stdio: ['pipe', 'inherit', 'inherit'] });
    try {
      fighter.stdin.on('error', () => undefined);
      // Each repair is undone as soon as it is told, as often as three fights take.
      onRepaired = () => {
        if (repaired.length < 63) fighter.stdin.write('address flush dev pvbr1\n');
      };
      onRepaired();
      const isNoticed = async () => (await codes()).includes('NETWORK_CONTESTED');
      await eventually(
        'an end of the fight',
        6 * PATIENCE_MS,
        async () => repaired.length >= 63 || (await isNoticed()),
      );
      onRepaired = () => undefined;
      const times = repairLines().map((line) => Number(JSON.parse(line).time));
      const wasFight = times.some((at, index) => at - (times[index - 20] ?? 0) < 10_000);
      if (!wasFight && !(await isNoticed())) return test.skip(`too slow for a fight: ${times.join(' ')}`);
      const fought = repaired.length;
      assert.ok(fought > 10 && fought < 60, `${fought} repairs`);
      await comes('the line that says so', () => service.log.some((line) => line.includes('slowing down')));
      const told = repairLines().length;
      fighter.stdin.write('address flush dev pvbr1\n');
      await comes('one more repair', () => repairLines().length > told);
      // As it says itself when they were.
      const lines = repairLines().slice(told - 1, told + 1);
      const [before, last] = lines.map((line) => Number(JSON.parse(line).time));
      assert.ok(before !== undefined && last !== undefined && last - before > 4_900, lines.join('\n'));
    } finally {
      onRepaired = () => undefined;
      await kill(fighter);
    }
  });
});
