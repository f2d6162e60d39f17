// NAT by iptables of the legacy kind, as net-svc with its own rights only: of its tables' changes the kernel tells nobody.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { netContract } from '../../services/net-svc/contract.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { internal, lab, run } from './kernel.ts';
import { kill, openService } from './service.ts';

reexecInNamespaces(import.meta.filename);

const LEGACY = '/usr/sbin/xtables-legacy-multi';
const skip = existsSync(LEGACY) ? false : `${LEGACY} is not installed`;

describe('NAT by iptables of the legacy kind', { skip }, () => {
  let service: Awaited<ReturnType<typeof openService>>;
  let child: ChildProcess;
  const repaired: string[] = [];
  const saved = (): string => run(['iptables-save']);
  const masquerades = (): number => saved().match(/-A BERTH-NAT .*MASQUERADE/g)?.length ?? 0;

  before(async () => {
    // Which of its programs it is, it takes from the name that it was called by.
    for (const name of ['iptables', 'iptables-save', 'iptables-restore'])
      run(['mount', '--bind', LEGACY, `/usr/sbin/${name}`]);
    assert.match(run(['iptables', '--version']), /legacy/);
    // As root's own iptables leaves it.
    writeFileSync('/run/xtables.lock', '');
    chmodSync('/run/xtables.lock', 0o600);
    service = await openService('iptables');
    service.ctl.subscribe(netContract, 'networkRepaired', {
      onEvent: ({ what }) => repaired.push(...what),
      onLost: () => assert.fail('events were lost'),
    });
    child = service.serve();
  });
  after(async () => {
    await kill(child);
    service.close();
  });

  it('is set up beside rules of others', async () => {
    run(['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-s', '203.0.113.9', '-j', 'ACCEPT']);
    const answer = await service.net.configure({ pools: [internal, lab] });
    assert.deepEqual(answer, { ok: true, value: { nat: 'iptables', leftOut: [] } });
    assert.equal(masquerades(), 1);
    assert.match(saved(), /203\.0\.113\.9/);
    assert.deepEqual(await service.ctlNet.health({}), { ok: true, value: { reasons: [] } });
  });

  for (const [host, name, harm] of [
    [11, 'flushed', ['-F']],
    [12, 'flushed in our chain only', ['-F', 'BERTH-NAT']],
    [13, 'cut off from POSTROUTING', ['-D', 'POSTROUTING', '-j', 'BERTH-NAT']],
  ] as const) {
    it(`is repaired when it is ${name}, of which the kernel tells nobody`, async () => {
      assert.equal(masquerades(), 1);
      // The harm leaves tables of a size that net-svc has not seen, whatever it looked at last.
      run(['iptables', '-A', 'INPUT', '-s', `203.0.113.${host}`, '-j', 'ACCEPT']);
      repaired.length = 0;
      run(['iptables', '-t', 'nat', ...harm]);
      await eventually('the repair', PATIENCE_MS, () => repaired.includes('set up NAT (iptables)'));
      assert.equal(masquerades(), 1);
      assert.equal(saved().match(/-A POSTROUTING -j BERTH-NAT/g)?.length, 1);
    });
  }

  it('is looked at without a program', async () => {
    const children = `/proc/${child.pid}/task/${child.pid}/children`;
    await eventually('three looks without one', PATIENCE_MS, async () => {
      for (const end = performance.now() + 1_500; performance.now() < end; await wait(5)) {
        if (readFileSync(children, 'utf8') !== '') return false;
      }
      return true;
    });
  });

  it('is gone with the pools, and others’ rules are not', async () => {
    run(['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-s', '203.0.113.10', '-j', 'ACCEPT']);
    assert.ok((await service.net.configure({ pools: [] })).ok);
    assert.doesNotMatch(saved(), /BERTH/);
    assert.match(saved(), /203\.0\.113\.10/);
  });
});
