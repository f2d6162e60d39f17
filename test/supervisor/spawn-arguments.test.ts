// The command line that applies a contract's privileges, and what the kernel makes of it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { logContract } from '../../services/log-svc/contract.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { ALL_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { nodeArguments, setprivArguments } from '../../services/supervisor/spawn-arguments.ts';
import { topicId } from '../../shared/ipc/topic.ts';

const places = { rundir: '/r', storage: '/s', program: '/p' };

describe('supervisor.spawn-arguments', () => {
  it('gives an unprivileged service its uid and its capabilities only', () => {
    const args = setprivArguments(
      {
        user: 'berth-net',
        capabilities: ['net_admin'],
        reasons: { net_admin: 'a test' },
        noNewPrivileges: true,
        umask: 0o022,
        permissionModel: undefined,
      },
      60_803,
    );
    const { stdout, stderr } = spawnSync('setpriv', [...args, 'cat', '/proc/self/status'], { encoding: 'utf8' });
    assert.equal(stderr, '');
    for (const line of ['Uid:\t60803\t60803\t60803\t60803', 'NoNewPrivs:\t1', 'CapBnd:\t0000000000001000']) {
      assert.ok(stdout.includes(line), `${line} in\n${stdout}`);
    }
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      assert.match(stdout, new RegExp(`${set}:\t0000000000001000`));
    assert.match(stdout, /^Groups:\s*$/m);
  });

  it('fences files by the paths of the contract, where the contract asks for the permission model', () => {
    const args = nodeArguments(
      {
        files: { owns: ['<storage>/ipam'], reads: ['<rundir>/lxc'], writes: [] },
        privileges: {
          user: 'berth-ipam',
          capabilities: [],
          reasons: {},
          noNewPrivileges: true,
          umask: 0,
          permissionModel: { workers: false },
        },
      },
      places,
      '--permission',
    );
    assert.ok(args.includes('--permission'));
    assert.deepEqual(
      args.filter((arg) => arg.startsWith('--allow')),
      ['--allow-fs-read=/p', '--allow-fs-read=/s/ipam', '--allow-fs-read=/r/lxc', '--allow-fs-write=/s/ipam'],
    );
  });

  it('opens the fence of who checks signatures to those who are trusted, wherever they are', () => {
    const { files, privileges } = stateContract;
    const reads = (trust?: { folder: string; store: string }): readonly string[] =>
      nodeArguments({ files, privileges }, { ...places, ...(trust === undefined ? {} : { trust }) }, '--permission')
        .filter((arg) => /^--allow-fs-read=.*(?:trust|mine)/.test(arg))
        .map((arg) => arg.replace('--allow-fs-read=', ''));
    assert.deepEqual(reads({ folder: '/x/trust', store: '/mine/ca.crt' }), ['/x/trust', '/mine/ca.crt']);
    assert.deepEqual(new Set(reads()), new Set(['/etc/pantavisor/pvs/trust']));
  });

  it('leaves paths to the user where the contract needs symbolic links, and addons where it names them', () => {
    const args = nodeArguments(
      { files: logContract.files, privileges: logContract.privileges },
      places,
      '--permission',
    );
    assert.deepEqual(
      args.filter((arg) => arg.startsWith('--allow')),
      ['--allow-worker', '--allow-addons', '--allow-fs-read=*', '--allow-fs-write=*'],
    );
  });

  it('names a reason for every capability, and no topic twice', () => {
    const topics = new Map<number, string>();
    for (const { service, privileges, requests, events } of ALL_CONTRACTS) {
      for (const capability of privileges.capabilities) {
        assert.ok((privileges.reasons[capability] ?? '') !== '', `${service} needs ${capability}, and says why`);
      }
      for (const name of [...Object.keys(requests), ...Object.keys(events)]) {
        assert.equal(topics.get(topicId(service, name)), undefined, `${service}.${name}`);
        topics.set(topicId(service, name), `${service}.${name}`);
      }
    }
  });
});
