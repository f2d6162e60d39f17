// An uplink that gains a pool's subnet while the pool runs, as DHCP may give it: net-svc as a process, told by the kernel.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { netContract } from '../../services/net-svc/contract.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { addresses, internal, leaseOf, run } from './kernel.ts';
import { kill, openService } from './service.ts';

reexecInNamespaces(import.meta.filename);

const service = await openService();
const waiting: ((overlaps: readonly { readonly with: string }[]) => void)[] = [];
service.ctl.subscribe(netContract, 'overlapsChanged', {
  onEvent: ({ overlaps }) => waiting.shift()?.(overlaps),
  onLost: () => assert.fail('events were lost'),
});
const nextEvent = () => new Promise<readonly { readonly with: string }[]>((resolve) => waiting.push(resolve));
const reasons = async (): Promise<readonly string[]> => {
  const health = await service.ctlNet.health({});
  return health.ok ? health.value.reasons.map(({ code, subject }) => `${code} ${subject}`) : ['no answer'];
};
let child: ChildProcess;

before(async () => {
  // A resolv.conf of our own, over that of the machine.
  for (const folder of ['/run/etc', '/run/etc-work']) mkdirSync(folder);
  run(['mount', '-t', 'overlay', '-o', 'lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work', 'overlay', '/etc']);
  rmSync('/etc/resolv.conf', { force: true });
  writeFileSync('/etc/resolv.conf', '');
  run(['ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'outside']);
  run(['ip', 'link', 'set', 'uplink', 'up']);
  run(['ip', 'link', 'set', 'outside', 'up']);
  child = service.serve();
  assert.ok((await service.net.configure({ pools: [{ ...internal, nat: false }] })).ok);
});
after(async () => {
  await kill(child);
  service.close();
});

describe('an uplink that gains the subnet of a running pool', () => {
  it('is an event and a health reason, and so is its end; the pool stays', async (test) => {
    assert.deepEqual(await reasons(), []);
    const came = nextEvent();
    const startedMs = performance.now();
    run(['ip', 'addr', 'add', '10.0.5.200/24', 'dev', 'uplink']);
    assert.deepEqual(
      (await came).map((overlap) => overlap.with),
      ['address 10.0.5.200/24 of uplink'],
    );
    assert.deepEqual(await reasons(), ['POOL_OVERLAPS pool internal']);
    test.diagnostic(`${Math.round(performance.now() - startedMs)} ms`);
    assert.deepEqual(addresses('pvbr0'), ['10.0.5.1/24']);
    const went = nextEvent();
    run(['ip', 'addr', 'del', '10.0.5.200/24', 'dev', 'uplink']);
    assert.deepEqual(await went, []);
    assert.deepEqual(await reasons(), []);
  });

  it('is told when resolv.conf names a server in it, of which the kernel has nothing to tell', async () => {
    const before = readFileSync('/etc/resolv.conf', 'utf8');
    const came = nextEvent();
    writeFileSync('/etc/resolv.conf', `${before}\nnameserver 10.0.5.53\n`);
    assert.deepEqual(
      (await came).map((overlap) => overlap.with),
      ['name server 10.0.5.53'],
    );
    const went = nextEvent();
    writeFileSync('/etc/resolv.conf.new', before);
    renameSync('/etc/resolv.conf.new', '/etc/resolv.conf');
    assert.deepEqual(await went, []);
  });

  it('is none of it where the server is a container of the pool, as the service is told and as it sees', async () => {
    const dns = { ...internal, nat: false, name: 'dns', bridge: 'pvbr8', subnet: '10.0.78.0/24', gateway: '10.0.78.1' };
    const pools = [{ ...internal, nat: false }, dns];
    const before = readFileSync('/etc/resolv.conf', 'utf8');
    writeFileSync('/etc/resolv.conf', `${before}\nnameserver 10.0.78.53\n`);
    const refused = await service.net.configure({ pools });
    assert.deepEqual(!refused.ok && refused.error, {
      code: 'POOL_OVERLAPS',
      overlaps: [{ pool: 'dns', subnet: '10.0.78.0/24', with: 'name server 10.0.78.53', server: '10.0.78.53' }],
    });
    assert.ok((await service.net.configure({ pools, servers: ['10.0.78.53'] })).ok);
    assert.ok((await service.net.attach({ container: 'dns', interfaces: [leaseOf(dns, 'dns', 53)] })).ok);
    assert.deepEqual(await reasons(), []);
    assert.ok((await service.net.configure({ pools })).ok);
    assert.deepEqual(await reasons(), []);
    assert.ok((await service.net.detach({ container: 'dns' })).ok);
    writeFileSync('/etc/resolv.conf', before);
  });

  it('does not keep the pool from being configured again, while a new one is refused', async () => {
    const came = nextEvent();
    run(['ip', 'route', 'add', '10.0.0.0/16', 'dev', 'uplink']);
    await came;
    const pool = { ...internal, nat: false };
    assert.ok((await service.net.configure({ pools: [pool] })).ok);
    const other = { ...pool, name: 'other', bridge: 'pvbr7', subnet: '10.0.77.0/24', gateway: '10.0.77.1' };
    const refused = await service.net.configure({ pools: [pool, other] });
    assert.deepEqual(!refused.ok && refused.error, {
      code: 'POOL_OVERLAPS',
      overlaps: [{ pool: 'other', subnet: '10.0.77.0/24', with: 'route 10.0.0.0/16 by uplink' }],
    });
    run(['ip', 'route', 'del', '10.0.0.0/16', 'dev', 'uplink']);
  });

  it('has a new pool left out where that is asked for, and says when to ask again', async () => {
    const pool = { ...internal, nat: false };
    const other = { ...pool, name: 'other', bridge: 'pvbr7', subnet: '10.0.77.0/24', gateway: '10.0.77.1' };
    run(['ip', 'route', 'add', '10.0.77.0/28', 'dev', 'uplink']);
    // A bridge of that name, which the host made for itself.
    run(['ip', 'link', 'add', 'pvbr7', 'type', 'bridge']);
    const configure = () => service.net.configure({ pools: [pool, other], leaveOut: true });
    const partial = await configure();
    assert.deepEqual(partial.ok && partial.value.leftOut, [
      { pool: 'other', subnet: '10.0.77.0/24', with: 'route 10.0.77.0/28 by uplink' },
    ]);
    const attach = () => service.net.attach({ container: 'web', interfaces: [leaseOf(other, 'web', 2)] });
    const refused = await attach();
    assert.match(!refused.ok ? refused.error.reason : '', /^pool other overlaps what this machine uses/);
    const told = service.awaitedChanged();
    run(['ip', 'route', 'del', '10.0.77.0/28', 'dev', 'uplink']);
    await told;
    assert.deepEqual((await configure()).ok && addresses('pvbr7'), ['10.0.77.1/24']);
    assert.ok((await attach()).ok);
    assert.ok((await service.net.detach({ container: 'web' })).ok);
  });

  it('has it asked for again after a restart of the service, which knows nothing of what was left out', async () => {
    const told = service.awaitedChanged();
    await kill(child);
    child = service.serve();
    await told;
  });
});
