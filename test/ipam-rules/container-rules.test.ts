// The rules of IPAM that a container's start and end keep: what is not even tried, and what is given back.
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { describe, it } from 'node:test';
import { containerConfig } from '../../services/lxc-svc/container-config.ts';
import { pantavisorSources } from '../../services/lxc-svc/pantavisor-sources.ts';
import { parseLxcConfig } from '../../shared/lxc-config/parse.ts';
import { ask, TINY, withIpam } from '../ipam-svc/kit.ts';
import { PATIENCE_MS } from '../kit/eventually.ts';
import { container, problems, state } from '../revision/states.ts';
import { type ContainerSpec, LEASE_HOLD_MS } from '../state-svc/device.ts';
import { APP } from '../state-svc/kit.ts';
import { CONF, calls, useSettledDevices, veth } from './settled.ts';

const boot = useSettledDevices();

describe('ipam rule 7: fail fast', () => {
  const refused: readonly (readonly [string, ContainerSpec, RegExp])[] = [
    [
      'an unknown pool',
      { network: { pool: 'does-not-exist' } },
      /references unknown pool 'does-not-exist', refusing to start/,
    ],
    [
      'a static address outside',
      { network: { pool: 'internal', ip: '192.168.99.100' } },
      /192\.168\.99\.100 .* outside/,
    ],
    [
      'a pool beside baked lines',
      { network: { pool: 'internal' }, lxc: veth('10.0.5.9/24') },
      /remove the line "lxc\.net\.0\.type = veth"/,
    ],
  ];
  for (const [what, spec, message] of refused) {
    it(`refuses the revision for ${what}, asks nobody for anything, and asks for a reboot`, async () => {
      const it = await boot({ a: { ...APP, ...spec }, fine: APP });
      assert.deepEqual(calls(it), []);
      assert.ok(
        it.lines.some((line) => message.test(line)),
        it.lines.join('\n'),
      );
      await it.until(() => it.reboots.length > 0);
      assert.deepEqual(it.reboots, ['REVISION_REFUSED']);
    });
  }

  it('touches no namespace for a container whose pool is exhausted, and asks for a reboot', async () => {
    const it = await boot({ a: { ...APP, network: { pool: 'internal' } } }, undefined, ({ world }) =>
      world.troubles.set('ipam.allocate a', 'refuse'),
    );
    await it.untilStatus('a', 'STOPPED');
    assert.ok(it.lines.some((line) => line.includes('POOL_EXHAUSTED')));
    assert.deepEqual(
      calls(it).filter((call) => /^net\.attach|^lxc\.start/.test(call)),
      [],
    );
    await it.until(() => it.reboots.length === 1);
    assert.deepEqual(it.reboots, ['POOL_EXHAUSTED']);
  });

  it('does not call a kept network namespace a conflict: net is dropped from the list', () => {
    const files = { [CONF]: 'lxc.namespace.keep = user net ipc\n' };
    assert.deepEqual(problems(state(container('a', { network: { pool: 'internal' } })), files), []);
    const own = { entries: parseLxcConfig(files[CONF] ?? '', 'conf').entries, sources: [], notes: [] };
    const { entries } = containerConfig(own, {
      container: 'a',
      hostname: 'a',
      network: { kind: 'netns', path: '/run/netns/a' },
      hostNetwork: '/run/berth/lxc/.networks/host',
      pidOf: () => undefined,
      rootfs: '/r',
      devLog: true,
      consoleLog: '/c',
      lxcLog: '/l',
      tracesLxc: false,
      oomScore: 0,
      cgroup: 'berth.0.a',
      pantavisor: pantavisorSources(
        { rundir: '/r', storage: '/s' },
        { container: 'a', revision: '0', roles: [] },
        '/p',
      ),
      host: { v1: new Set<string>(), v2: new Set<string>() },
      volumes: new Set(),
      storageRoots: { lxc: '/l', exports: '/e' },
      sourcesFolder: '/s',
    });
    const kept = entries.filter(({ key }) => key === 'lxc.namespace.keep').flatMap(({ value }) => value.split(' '));
    assert.ok(!kept.includes('net') && kept.includes('ipc'), kept.join(' '));
    assert.ok(entries.some(({ key, value }) => key === 'lxc.namespace.share.net' && value === '/run/netns/a'));
  });
});

describe('ipam rule 9: release', () => {
  it('gives back what a container held that no revision has, after the hold time, over restarts', async () => {
    const it = await boot({ web: { ...APP, network: { pool: 'internal' } } });
    it.world.leases.set('removed', '10.0.5.200');
    await (await it.boot()).settled;
    const settled = async (): Promise<void> => {
      await it.untilStatus('web', 'STARTED');
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    await settled();
    assert.ok(it.world.leases.has('removed'));
    const end = performance.now() + PATIENCE_MS;
    while (it.world.leases.has('removed') && performance.now() < end) {
      it.clock.advance(it.clock.armed()[0] ?? 0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual([...it.world.leases.keys()], ['web']);
    assert.ok(it.clock.elapsedMs() >= LEASE_HOLD_MS);
  });

  it('lets the address go to somebody else, once no fresh one is left', () =>
    withIpam(async (ipam) => {
      await ipam.client.configure({ pools: [TINY], reservations: [] });
      assert.equal(await ask(ipam, TINY, 'removed'), '10.0.8.2');
      assert.equal(await ask(ipam, TINY, 'next'), 'POOL_EXHAUSTED');
      await ipam.client.release({ pool: 'tiny', container: 'removed', interface: 'eth0' });
      assert.equal(await ask(ipam, TINY, 'next'), '10.0.8.2');
    }));
});
