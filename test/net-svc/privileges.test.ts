import assert from 'node:assert/strict';
import { chmodSync, chownSync, cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { build } from 'esbuild';
import { netContract } from '../../services/net-svc/contract.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { reexecInNamespaces } from '../kit/namespaced.ts';
import { addresses, pings, run } from './kernel.ts';

reexecInNamespaces(import.meta.filename);

const uid = resolveUid('berth-net');
const folder = '/run/fixture';
const dir = '/run/berth/netns';

/** The fixture as a bundle on the private /run, with koffi beside it: the repository may be readable by root only. */
async function buildFixture(): Promise<string> {
  const modules = join(import.meta.dirname, '..', '..', 'node_modules');
  for (const name of ['koffi', '@koromix']) {
    cpSync(join(modules, name), join(folder, 'node_modules', name), { recursive: true, dereference: true });
  }
  const outfile = join(folder, 'fixture.cjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'unprivileged.fixture.ts')],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['koffi'],
    outfile,
    logLevel: 'error',
  });
  chmodSync(folder, 0o755);
  return outfile;
}

/** As the supervisor starts the service, from the contract's row. */
function setprivArguments(): string[] {
  const capabilities = `-all,${netContract.privileges.capabilities.map((name) => `+${name}`).join(',')}`;
  return [
    ...['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--no-new-privs'],
    ...['--inh-caps', capabilities, '--ambient-caps', capabilities, '--bounding-set', capabilities],
  ];
}

/** As every service: no eval, which native code must not need either. */
const NODE_FLAGS = ['--disallow-code-generation-from-strings'];
const hostname = readFileSync('/etc/hostname', 'utf8');
/** CAP_NET_ADMIN is bit 12, CAP_SYS_ADMIN bit 21 (linux/capability.h). */
const ONLY_OURS = (2 ** 12 + 2 ** 21).toString(16).padStart(16, '0');

describe('net-svc with nothing but its contract’s privileges', () => {
  for (const backend of ['nftables', 'iptables']) {
    it(`does all of its work, with ${backend}`, async () => {
      mkdirSync(dir, { recursive: true });
      chownSync(dir, uid, uid);
      const fixture = await buildFixture();
      const answer = JSON.parse(run([...setprivArguments(), process.execPath, ...NODE_FLAGS, fixture, dir, backend]));
      assert.equal(answer.nat, backend);
      assert.deepEqual(answer.health, []);
      assert.equal(answer.attachments.length, 1);
      assert.deepEqual(addresses('pvbr0'), ['10.0.5.1/24']);
      assert.deepEqual(addresses('eth0', `${dir}/stays`), ['10.0.5.2/24']);
      assert.ok(pings('10.0.5.1', `${dir}/stays`));
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
