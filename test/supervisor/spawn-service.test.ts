// How a service is started where Nodes differ.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { describe, it } from 'node:test';
import { ipamContract } from '../../services/ipam-svc/contract.ts';
import { PERMISSION_FLAG, permissionFlagOf, spawnService } from '../../services/supervisor/spawn-service.ts';

describe('spawn-service', () => {
  it('calls the permission model what this Node calls it', () => {
    assert.ok(process.allowedNodeEnvironmentFlags.has(PERMISSION_FLAG));
    assert.equal(PERMISSION_FLAG === '--permission', process.allowedNodeEnvironmentFlags.has('--permission'));
  });

  it('leaves no descriptor open when it cannot start one', () => {
    const open = readdirSync('/proc/self/fd').length;
    const places = { rundir: '/run', storage: '/run', program: 'no such\0path' };
    const launch = { service: 'ipam-svc', rundir: '/run', storage: '/run', mode: 'appengine' } as const;
    const request = { contract: ipamContract, uid: 0, places, launch, logFd: 1, inheritedFds: [] };
    assert.throws(() => spawnService(request, () => undefined), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.equal(readdirSync('/proc/self/fd').length, open);
  });

  it('knows which Nodes have it under its own name', () => {
    const named = (...versions: readonly string[]) => versions.map((version) => permissionFlagOf(version));
    const [old, own] = ['--experimental-permission', '--permission'];
    assert.deepEqual(named('20.19.0', '22.12.0', '23.4.0'), [old, old, old]);
    assert.deepEqual(named('22.13.0', '22.23.3', '23.5.0', '24.0.0'), [own, own, own, own]);
  });
});
