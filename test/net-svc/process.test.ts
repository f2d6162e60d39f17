import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { internal, lab, leaseOf, links, reaches, run } from './kernel.ts';
import { dir, kill, openService } from './service.ts';

reexecInNamespaces(import.meta.filename);

const containers = ['a', 'b', 'c', 'd', 'e'];
const leasesOf = (container: string) => {
  const host = 10 + containers.indexOf(container);
  return [leaseOf(internal, container, host), leaseOf(lab, container, host, 'lab0')];
};

/** Without what the kernel brings about by itself. */
const settled = (listing: string): string => listing.replaceAll(/state \w+| tentative/g, '');

describe('net-svc as a process', () => {
  it('knows after SIGKILL what it did before, and changes nothing of it', async () => {
    const { net, serve, log, close } = await openService();
    after(close);
    const first = serve();
    after(() => kill(first));
    assert.deepEqual(await net.configure({ pools: [internal, lab] }), {
      ok: true,
      value: { nat: 'nftables', leftOut: [] },
    });
    const attached = await net.attach({ container: 'a', interfaces: leasesOf('a') });
    assert.ok(attached.ok);
    const before = run(['ip', 'addr']);
    await kill(first);
    assert.ok(reaches('10.0.5.1', attached.value.netns));
    const second = serve();
    after(() => kill(second));
    assert.deepEqual(await net.listAttachments({}), { ok: true, value: { attachments: [attached.value] } });
    assert.deepEqual(await net.attach({ container: 'a', interfaces: leasesOf('a') }), attached);
    assert.equal(settled(run(['ip', 'addr'])), settled(before));
    assert.deepEqual(await net.detach({ container: 'a' }), { ok: true, value: {} });
    const told = (): string[] =>
      log.map((line) => JSON.parse(line)).flatMap(({ src, msg }) => (src === 'ipam' ? [msg] : []));
    await eventually('the first one’s lines have come', PATIENCE_MS, () => told().length >= 4);
    assert.deepEqual(told(), [
      'created bridge pvbr0 with IP 10.0.5.1/24',
      'created bridge pvbr1 with IP 10.0.6.1/24',
      'setup NAT (nftables) for pool internal',
      'switched on net.ipv4.ip_forward',
    ]);
  });

  it('can be killed in the middle of anything: the next one finishes or removes it', async () => {
    const { net, serve, close } = await openService();
    after(close);
    let child = serve();
    after(() => kill(child));
    await net.configure({ pools: [internal, lab] });
    for (let round = 0; round < 12; round++) {
      // Nobody waits for these: they die with the service, each time after another one was answered.
      const calls = containers.map((container) =>
        round % 2 === 0 ? net.attach({ container, interfaces: leasesOf(container) }) : net.detach({ container }),
      );
      await calls[round % calls.length];
      const ended = kill(child);
      await Promise.allSettled([ended, ...calls.slice(0, round % calls.length)]);
      child = serve();
      await Promise.allSettled(calls);
    }
    for (const container of containers) {
      const answer = await net.attach({ container, interfaces: leasesOf(container) });
      assert.ok(answer.ok, JSON.stringify(answer));
      for (const gateway of ['10.0.6.1', '10.0.5.1']) {
        assert.ok(reaches(gateway, `${dir}/${container}`), `${container} reaches ${gateway}`);
      }
    }
    const answers = await Promise.all(containers.map((container) => net.detach({ container })));
    assert.ok(answers.every(({ ok }) => ok));
    assert.deepEqual(await net.configure({ pools: [] }), { ok: true, value: { nat: 'unneeded', leftOut: [] } });
    assert.deepEqual(
      links().map(({ ifname }) => ifname),
      ['lo'],
    );
    assert.deepEqual(readdirSync(dir), []);
    assert.equal(run(['nft', 'list', 'ruleset']), '');
  });
});
