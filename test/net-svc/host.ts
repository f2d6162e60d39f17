// The host's side of net-svc in the test's own process: the kernel it works on, made empty again before each test.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { detach } from '../../services/net-svc/detachments.ts';
import { createForwardPassage } from '../../services/net-svc/forward-passage.ts';
import { createHostNetwork } from '../../services/net-svc/host-network.ts';
import { createHostOverlaps } from '../../services/net-svc/host-overlap.ts';
import { openLentAddresses } from '../../services/net-svc/lent-addresses.ts';
import { openMarkedBridges } from '../../services/net-svc/marked-bridges.ts';
import { createNat } from '../../services/net-svc/nat.ts';
import { iptables, type NatBackend, nftables } from '../../services/net-svc/nat-command.ts';
import { openNamespaces } from '../../services/net-svc/netns.ts';
import { openOthersBridges } from '../../services/net-svc/others-bridges.ts';
import { RULES_RETRY_MS } from '../../services/net-svc/rules-retry.ts';
import { type Logger, silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { links, run } from './kernel.ts';

const dir = '/run/berth/netns';
mkdirSync(dir, { recursive: true });
export const namespaces = openNamespaces(dir);
export const FORWARD = '/proc/sys/net/ipv4/ip_forward';
/** What `makeOutside` makes. */
export const OUTSIDE_ADDRESS = '192.0.2.2';
const OUTSIDE = 'outside';

/** A net-svc that starts anew: nothing but the kernel and the files are shared with the one before. */
export function restart(backends: readonly NatBackend[] = [nftables, iptables], retryMs = RULES_RETRY_MS) {
  const lines: string[] = [];
  const collect = (message: string): void => void lines.push(message);
  const log: Logger = { ...silentLogger, info: collect, warn: collect };
  const nat = createNat(backends, [nftables, iptables], `${dir}/.nat`);
  const lent = openLentAddresses(`${dir}/.lent`);
  const others = openOthersBridges(`${dir}/.others`);
  const overlaps = createHostOverlaps({
    log,
    lent,
    severity: 'error',
    announce: () => undefined,
    resolvConfs: [],
    leases: () => [],
  });
  const passage = createForwardPassage(`${dir}/.forward`);
  return {
    lines,
    ...createHostNetwork({
      nat,
      log,
      overlaps,
      awaited: { look: () => undefined },
      passage,
      notes: { lent, others, marked: openMarkedBridges(`${dir}/.marked`) },
      retryMs,
    }),
  };
}

/** A back end whose program is not there. */
export const missing = (name: 'nftables' | 'iptables', reason = `${name}: not installed`): NatBackend => ({
  name,
  apply: async () => ({ kind: 'failed', reason }),
  remove: async () => ({ kind: 'unchanged' }),
});

/** No container, link, rule or forwarding. */
export async function clear(): Promise<void> {
  for (const container of namespaces.list()) detach(namespaces, container);
  await restart().configure([]);
  run(['nft', 'flush', 'ruleset']);
  await eventually('no link is left', PATIENCE_MS, () => {
    const [left] = links().filter(({ ifname }) => ifname !== 'lo');
    // One end of a veth takes the other one along, and a namespace that ends, in its own time, both.
    if (left !== undefined) spawnSync('ip', ['link', 'del', left.ifname]);
    return left === undefined;
  });
  writeFileSync(FORWARD, '0');
}

/** A host beyond an uplink that knows no way back to the pools: only what went through NAT gets answers. */
export function makeOutside(): string {
  namespaces.create(OUTSIDE);
  const path = namespaces.pathOf(OUTSIDE);
  run(['ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'up0', 'netns', path]);
  run(['ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'uplink']);
  run(['ip', 'link', 'set', 'uplink', 'up']);
  run(['ip', 'addr', 'add', `${OUTSIDE_ADDRESS}/24`, 'dev', 'up0'], path);
  run(['ip', 'link', 'set', 'up0', 'up'], path);
  return OUTSIDE_ADDRESS;
}
