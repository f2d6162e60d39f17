import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { bundle, NODE, uid, unprivileged } from './bundle.ts';
import { addresses, reaches, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const dir = '/run/berth/netns';
const hostname = readFileSync('/etc/hostname', 'utf8');
/** CAP_NET_BROADCAST is bit 11, CAP_NET_ADMIN bit 12, CAP_NET_RAW bit 13, CAP_SYS_PTRACE bit 19, CAP_SYS_ADMIN bit 21 (linux/capability.h). */
const ONLY_OURS = (2 ** 11 + 2 ** 12 + 2 ** 13 + 2 ** 19 + 2 ** 21).toString(16).padStart(16, '0');

describe('net-svc with nothing but its contract’s privileges', () => {
  for (const backend of ['nftables', 'iptables']) {
    it(`does all of its work, with ${backend}`, async () => {
      mkdirSync(dir, { recursive: true });
      chownSync(dir, uid, uid);
      const fixture = await bundle('test/net-svc/unprivileged.fixture.ts', '/run/fixture');
      const answer = JSON.parse(run(unprivileged([...NODE, fixture, dir, backend])));
      assert.equal(answer.nat, backend);
      assert.deepEqual(answer.health, []);
      assert.equal(answer.attachments.length, 1);
      assert.deepEqual(addresses('pvbr0'), ['10.0.5.1/24']);
      assert.deepEqual(addresses('eth0', `${dir}/stays`), ['10.0.5.2/24']);
      assert.ok(reaches('10.0.5.1', `${dir}/stays`));
      assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), '1\n');
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
        assert.match(answer.status, new RegExp(`^${set}:\\t${ONLY_OURS}$`, 'm'));
      }
      assert.match(answer.status, new RegExp(`^Uid:(\\t${uid}){4}$`, 'm'));
      assert.match(answer.status, /^NoNewPrivs:\t1$/m);
      assert.equal(answer.foreignWrite, 'EACCES');
      assert.equal(readFileSync('/etc/hostname', 'utf8'), hostname);
    });
  }
});
