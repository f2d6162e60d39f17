// Scenarios in which everything is as it should be: addresses, reachability, NAT.
import assert from 'node:assert/strict';
import { showPrograms } from '../../scripts/sandbox/hide.ts';
import { OUTSIDE_ADDRESS, OUTSIDE_PORT, UPLINK_ADDRESS } from '../../scripts/sandbox/sandbox.ts';
import { eventually } from '../kit/eventually.ts';
import { PATIENCE_MS, type Tree } from '../kit/tree.ts';
import {
  addressOf,
  doesNotReach,
  kernelAddresses,
  LOG,
  logged,
  masqueradeRules,
  outputIn,
  pings,
  reaches,
  rowOf,
  says,
  seesOutside,
  unhealthy,
} from './look.ts';
import type { Backend, Stage } from './scenario.ts';

/** There is one masquerade rule, for this subnet, made by the program of `backend` and by no other. */
function masquerades(tree: Tree, backend: Backend, subnet: string): void {
  const rules = masqueradeRules(tree);
  const [own, other] = backend === 'nftables' ? [rules.nft, rules.iptables] : [rules.iptables, rules.nft];
  assert.deepEqual(other, []);
  assert.equal(own.length, 1, `there should be one masquerade rule: ${own.join('; ')}`);
  assert.ok(own[0]?.includes(subnet), `it should be for ${subnet}: ${own[0]}`);
}

/** Only `pool` is masqueraded, and the log says by what. */
async function hasNat(tree: Tree, backend: Backend, pool: string, subnet: string): Promise<void> {
  masquerades(tree, backend, subnet);
  await logged(tree, LOG, new RegExp(`\\[ipam\\] setup NAT \\(${backend}\\) for pool ${pool}`));
}

/** The container's own console says that it was answered, and the outside host saw nobody but the uplink. */
async function reachesOutside(tree: Tree, container: string): Promise<void> {
  await says(tree, container, new RegExp(`outside: you are ${UPLINK_ADDRESS}`));
  await seesOutside(tree, UPLINK_ADDRESS);
}

export async function basic(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  assert.deepEqual(await kernelAddresses(tree, 'host', 'pvbr0'), ['10.0.5.1/24']);
  const addresses = new Map<string, string>();
  for (const container of ['net-client', 'net-server']) {
    const address = await addressOf(tree, container);
    assert.match(address, /^10\.0\.5\.[23]$/);
    assert.deepEqual(await kernelAddresses(tree, container, 'eth0'), [`${address}/24`]);
    addresses.set(container, address);
  }
  await says(tree, 'net-client', /server: hello from net-server/);
  await reachesOutside(tree, 'net-client');
  await hasNat(tree, stage.backend, 'internal', '10.0.5.0/24');
  return `net-client ${addresses.get('net-client')} fetches from net-server ${addresses.get('net-server')}, outside sees ${UPLINK_ADDRESS}`;
}

export async function staticAddress(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  assert.equal(await addressOf(tree, 'ipam-valid'), '10.0.5.50');
  assert.deepEqual(await kernelAddresses(tree, 'ipam-valid', 'eth0'), ['10.0.5.50/24']);
  const mac = '02:00:0a:00:05:32';
  assert.equal((await rowOf(tree, 'ipam-valid')).network?.interfaces[0]?.mac, mac);
  assert.match(await outputIn(tree, 'ipam-valid', ['ip', '-o', 'link', 'show', 'dev', 'eth0']), new RegExp(mac));
  await logged(tree, LOG, /\[ipam\] reserved static IP 10\.0\.5\.50 \(from ipam-valid\) in pool 'internal'/);
  assert.match(await reaches(tree, 'host', '10.0.5.50'), /hello from ipam-valid/);
  return `ipam-valid has 10.0.5.50 and ${mac}`;
}

export async function twoPools(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  const lab = await addressOf(tree, 'net-lab-server');
  assert.match(await addressOf(tree, 'net-server'), /^10\.0\.5\.\d+$/);
  assert.match(lab, /^10\.0\.6\.\d+$/);
  await hasNat(tree, stage.backend, 'internal', '10.0.5.0/24');
  await reachesOutside(tree, 'net-server');
  await reaches(tree, 'net-server', OUTSIDE_ADDRESS, OUTSIDE_PORT);
  await pings(tree, 'net-lab-server', '10.0.6.1');
  await doesNotReach(tree, 'net-lab-server', OUTSIDE_ADDRESS, OUTSIDE_PORT);
  await says(tree, 'net-lab-server', /outside: no answer/);
  assert.doesNotMatch(tree.readLog('net-lab-server/lxc/console.log'), /outside: you are/);
  return `1 masquerade rule, net-server leaves as ${UPLINK_ADDRESS}, lab stays inside and reaches 10.0.6.1`;
}

export async function natBackend(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  const address = await addressOf(tree, 'net-server');
  assert.match(await reaches(tree, 'host', address), /hello from net-server/);
  await pings(tree, 'net-server', '10.0.5.1');
  if (stage.backend !== 'none') {
    await hasNat(tree, stage.backend, 'internal', '10.0.5.0/24');
    await reachesOutside(tree, 'net-server');
    if (stage.backend === 'iptables') await nftComesBack(tree);
    const then = stage.backend === 'iptables' ? '; with nft back, nothing of iptables is left' : '';
    return `NAT by ${stage.backend}, net-server leaves as ${UPLINK_ADDRESS}${then}`;
  }
  await logged(tree, LOG, /WARN.*no NAT for pool internal/);
  await unhealthy(tree, 'NAT_UNAVAILABLE', /pool internal has no NAT/);
  await doesNotReach(tree, 'net-server', OUTSIDE_ADDRESS, OUTSIDE_PORT);
  assert.deepEqual(tree.sandbox.seenOutside(), []);
  return 'a warning, health is degraded, the host and net-server reach each other all the same';
}

/** As after installing nft: with the next start it is used, and the other program's rules are gone. */
async function nftComesBack(tree: Tree): Promise<void> {
  showPrograms(tree.sandbox, ['nft']);
  await tree.endSupervisor('SIGTERM');
  tree.start();
  await tree.up();
  // Containers that run on are there before the network is looked at.
  await eventually('rules of nft', PATIENCE_MS, () => masqueradeRules(tree).nft.length > 0);
  masquerades(tree, 'nftables', '10.0.5.0/24');
  assert.doesNotMatch(tree.inside(['iptables-save']).stdout, /BERTH/);
  assert.match(await reaches(tree, 'net-server', OUTSIDE_ADDRESS, OUTSIDE_PORT), /you are 203\.0\.113\.2/);
}

export async function defaultPool(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  const address = await addressOf(tree, 'net-pvcnet');
  assert.match(address, /^10\.0\.3\.\d+$/);
  assert.deepEqual(await kernelAddresses(tree, 'host', 'lxcbr0'), ['10.0.3.1/24']);
  assert.deepEqual(await kernelAddresses(tree, 'net-pvcnet', 'eth0'), [`${address}/24`]);
  await logged(tree, LOG, /\[ipam\] created bridge lxcbr0 with IP 10\.0\.3\.1\/24/);
  await hasNat(tree, stage.backend, 'pvcnet', '10.0.3.0/24');
  await reachesOutside(tree, 'net-pvcnet');
  return `net-pvcnet ${address} on lxcbr0 leaves as ${UPLINK_ADDRESS}`;
}

export async function legacyCoexistence(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  assert.deepEqual(await kernelAddresses(tree, 'ipam-static', 'eth0'), ['10.0.3.2/24']);
  assert.equal(await addressOf(tree, 'net-pvcnet'), '10.0.3.3');
  assert.deepEqual(await kernelAddresses(tree, 'net-pvcnet', 'eth0'), ['10.0.3.3/24']);
  await logged(tree, LOG, /\[ipam\] reserved static IP 10\.0\.3\.2 \(from ipam-static\) in pool 'pvcnet'/);
  for (const from of ['host', 'net-pvcnet']) {
    assert.match(await reaches(tree, from, '10.0.3.2'), /hello from ipam-static/);
  }
  for (const from of ['host', 'ipam-static']) {
    assert.match(await reaches(tree, from, '10.0.3.3'), /hello from net-pvcnet/);
  }
  for (const container of ['ipam-static', 'net-pvcnet']) await reachesOutside(tree, container);
  return 'ipam-static 10.0.3.2 (baked), net-pvcnet 10.0.3.3 (pool), both reach each other, the host and the outside';
}
