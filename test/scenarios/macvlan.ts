// The scenario of a container that is on the device's own network.
import assert from 'node:assert/strict';
import { OUTSIDE_ADDRESS, OUTSIDE_PORT, UPLINK_ADDRESS } from '../../scripts/sandbox/sandbox.ts';
import { eventually } from '../kit/eventually.ts';
import { PATIENCE_MS } from '../kit/tree.ts';
import { addressOf, kernelAddresses, masqueradeRules, outputIn, reaches, rowOf, says, seesOutside } from './look.ts';
import type { Stage } from './scenario.ts';

const ADDRESS = '203.0.113.50';
const MAC = '02:00:cb:00:71:32';

export async function macvlan(stage: Stage): Promise<string> {
  const tree = await stage.boot();
  await tree.up();
  assert.equal(await addressOf(tree, 'lan-server'), ADDRESS);
  assert.deepEqual(await kernelAddresses(tree, 'lan-server', 'eth0'), [`${ADDRESS}/24`]);
  const shown = (await rowOf(tree, 'lan-server')).network?.interfaces[0];
  assert.deepEqual([shown?.bridge, shown?.host_interface, shown?.mac], ['uplink', 'uplink', MAC]);
  assert.match(await outputIn(tree, 'lan-server', ['ip', '-d', 'link', 'show', 'dev', 'eth0']), /macvlan mode bridge/);
  // The host's side is as it was.
  const links = await outputIn(tree, 'host', ['ip', '-o', 'link']);
  assert.deepEqual(
    [...links.matchAll(/^\d+: ([^:@]+)/gm)].map(([, name]) => name),
    ['lo', 'uplink'],
  );
  assert.deepEqual(await kernelAddresses(tree, 'host', 'uplink'), [`${UPLINK_ADDRESS}/24`]);
  assert.deepEqual(masqueradeRules(tree), { nft: [], iptables: [] });
  await says(tree, 'lan-server', new RegExp(`outside: you are ${ADDRESS}`));
  await reaches(tree, 'lan-server', OUTSIDE_ADDRESS, OUTSIDE_PORT);
  await seesOutside(tree, ADDRESS);
  const fetch = ['busybox', 'timeout', '2', 'busybox', 'wget', '-q', '-O', '-', `http://${ADDRESS}:8080/`];
  await eventually('outside reaches lan-server', PATIENCE_MS, async () =>
    (await outputIn(tree, 'host', ['ip', 'netns', 'exec', 'outside', ...fetch])).includes('hello from lan-server'),
  );
  return `lan-server ${ADDRESS} on uplink itself, outside sees it as that and reaches it, nothing on the host's side`;
}
