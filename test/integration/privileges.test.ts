// What the kernel says of every service's process is what its contract says, and nothing more.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import type { Contract } from '../../shared/ipc/contract.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { curl } from '../ctl-svc/rig.ts';
import { get, serviceRows } from '../kit/api.ts';
import { openTree, packExample, type Tree } from '../kit/tree.ts';

/** capability.h: the number of each capability is its bit. */
const BITS: readonly string[] = [
  'chown',
  'dac_override',
  'dac_read_search',
  'fowner',
  'fsetid',
  'kill',
  'setgid',
  'setuid',
  'setpcap',
  'linux_immutable',
  'net_bind_service',
  'net_broadcast',
  'net_admin',
  'net_raw',
  'ipc_lock',
  'ipc_owner',
  'sys_module',
  'sys_rawio',
  'sys_chroot',
  'sys_ptrace',
  'sys_pacct',
  'sys_admin',
  'sys_boot',
  'sys_nice',
  'sys_resource',
  'sys_time',
  'sys_tty_config',
  'mknod',
  'lease',
  'audit_write',
  'audit_control',
  'setfcap',
  'mac_override',
  'mac_admin',
  'syslog',
  'wake_alarm',
  'block_suspend',
  'audit_read',
  'perfmon',
  'bpf',
  'checkpoint_restore',
];

function capabilitySet(hex: string): readonly string[] {
  const bits = BigInt(`0x${hex}`);
  return BITS.filter((_, bit) => ((bits >> BigInt(bit)) & 1n) === 1n).sort();
}

function fieldsOf(status: string): ReadonlyMap<string, string> {
  return new Map(
    status
      .trim()
      .split('\n')
      .map((line) => {
        const at = line.indexOf(':');
        return [line.slice(0, at), line.slice(at + 1).trim()];
      }),
  );
}

/** Root of a virtual machine or container may itself lack some: nobody below it can have those. */
const machineHas = capabilitySet(fieldsOf(readFileSync('/proc/self/status', 'utf8')).get('CapBnd') ?? '');

describe('integration.privileges', () => {
  let tree: Tree;
  before(async () => {
    tree = await openTree(packExample('01-basic'));
    tree.start();
    await tree.up();
  });
  after(() => tree.close());

  const statusOf = async ({ service }: Contract) => {
    const row = (await get(tree.socket, '/services', serviceRows)).find(({ name }) => name === service);
    assert.ok(row, `${service} in /services`);
    return { row, fields: fieldsOf(tree.inside(['cat', `/proc/${row.pid}/status`]).stdout) };
  };

  it('leaves a container that drops nothing what lxc-svc has, and that is all that programs in containers commonly ask for', async () => {
    const row = (await tree.up()).find(({ name }) => name === 'net-client');
    assert.ok(row !== undefined && row.pid !== null);
    const fields = fieldsOf(tree.inside(['cat', `/proc/${row.pid}/status`]).stdout);
    // What of Linux 5.8 and 5.9 `sys_admin` has as well, and the modules of access control that a container would change for all.
    const never = ['bpf', 'checkpoint_restore', 'mac_admin', 'mac_override', 'perfmon'];
    assert.deepEqual(
      capabilitySet(fields.get('CapBnd') ?? ''),
      machineHas.filter((name) => !never.includes(name)),
    );
  });

  it('has the kernel end containers before Berth when memory is short, and Berth last where root may say so', async () => {
    const scoreOf = (file: string): number => Number(tree.inside(['cat', `/proc/${file}/oom_score_adj`]).stdout);
    const ours = machineHas.includes('sys_resource') ? -900 : scoreOf('self');
    for (const { name, pid } of await get(tree.socket, '/services', serviceRows)) {
      assert.equal(scoreOf(String(pid)), ours, name);
    }
    for (const { name, pid } of await tree.up()) assert.equal(scoreOf(String(pid)), ours + 900, name);
  });

  it('opens no debugger, which whoever reaches the machine’s loopback could run anything by', async () => {
    // State 0A is TCP_LISTEN.
    const listening = (): readonly string[] =>
      tree.inside(['cat', '/proc/net/tcp', '/proc/net/tcp6']).stdout.match(/^ *\d+: \S+ \S+ 0A/gm) ?? [];
    const before = listening();
    const services = await get(tree.socket, '/services', serviceRows);
    const [{ pid: one = 0 } = {}] = services;
    const supervisor = /^PPid:\t(\d+)$/m.exec(tree.inside(['cat', `/proc/${one}/status`]).stdout)?.[1] ?? '';
    const pids = [supervisor, ...services.map(({ pid }) => String(pid))];
    assert.equal(tree.inside(['kill', '-USR1', ...pids]).status, 0);
    // Each of them has answered since.
    await curl(tree.socket, '/health');
    assert.deepEqual(listening(), before);
    assert.deepEqual(
      (await get(tree.socket, '/services', serviceRows)).map(({ pid }) => pid),
      services.map(({ pid }) => pid),
    );
  });

  for (const contract of SERVICE_CONTRACTS) {
    it(`gives ${contract.service} the row of its contract`, async () => {
      const { privileges } = contract;
      const { row, fields } = await statusOf(contract);
      const uid = String(resolveUid(privileges.user));
      const wanted = privileges.capabilities.filter((name) => machineHas.includes(name)).sort();
      assert.deepEqual((fields.get('Uid') ?? '').split('\t'), [uid, uid, uid, uid]);
      assert.deepEqual((fields.get('Gid') ?? '').split('\t'), [uid, uid, uid, uid]);
      for (const set of ['CapPrm', 'CapEff', 'CapBnd']) {
        assert.deepEqual(capabilitySet(fields.get(set) ?? ''), wanted, set);
      }
      // Root has its capabilities by uid; nothing is handed to programs it starts but through the bounding set.
      const ambient = privileges.user === 'root' ? [] : wanted;
      for (const set of ['CapInh', 'CapAmb']) assert.deepEqual(capabilitySet(fields.get(set) ?? ''), ambient, set);
      assert.equal(fields.get('NoNewPrivs'), privileges.noNewPrivileges ? '1' : '0');
      assert.equal(Number.parseInt(fields.get('Umask') ?? '', 8), privileges.umask);
      assert.equal(row.uid, Number(uid));
      assert.deepEqual(row.capabilities, privileges.capabilities);
      if (privileges.user !== 'root') assert.equal(fields.get('Groups'), '');
    });

    it(`starts ${contract.service} with Node's fences where its contract has them`, async () => {
      const { row } = await statusOf(contract);
      const command = tree.inside(['cat', `/proc/${row.pid}/cmdline`]).stdout.split('\0');
      assert.ok(command.includes('--disallow-code-generation-from-strings'));
      assert.ok(command.some((word) => word.endsWith('/boot.js')));
      const model = contract.privileges.permissionModel;
      const fenced = command.some((word) => /^--(experimental-)?permission$/.test(word));
      assert.equal(fenced, model !== undefined);
      assert.ok(!command.includes('--allow-child-process'));
      assert.equal(command.includes('--allow-addons'), model?.addons === true);
      assert.equal(command.includes('--allow-worker'), model?.workers === true);
      assert.equal(
        command.some((word) => /allow-fs-(read|write)=\*/.test(word)),
        model?.anyPath === true,
      );
    });
  }
});
