// Wiring of net-svc.
import { join } from 'node:path';
import { settingsOf } from '../../shared/config/launched-settings.ts';
import { watchFiles } from '../../shared/kernel/file-watch.ts';
import { trimHeap } from '../../shared/kernel/libc.ts';
import { createLogger } from '../../shared/log/logger.ts';
import { runService, type ServiceContext } from '../../shared/service/run-service.ts';
import { createAwaitedPools } from './awaited-pools.ts';
import { netContract } from './contract.ts';
import { openDesiredState } from './desired-state.ts';
import { createDetachedSweep } from './detachments.ts';
import { createDriftRepair } from './drift-repair.ts';
import { renameFormer } from './former-names.ts';
import { createForwardPassage } from './forward-passage.ts';
import { netHandlers } from './handlers.ts';
import { withHost } from './host-links.ts';
import { createHostNetwork } from './host-network.ts';
import { createHostOverlaps, RESOLV_CONFS } from './host-overlap.ts';
import { openLentAddresses } from './lent-addresses.ts';
import { openMarkedBridges } from './marked-bridges.ts';
import { createNat } from './nat.ts';
import { iptables, nftables } from './nat-command.ts';
import { openNamespaces } from './netns.ts';
import { openOthersBridges } from './others-bridges.ts';
import { RULES_RETRY_MS } from './rules-retry.ts';
import { createSenderGuard } from './sender-guard.ts';

const wire = ({ channel, launch, log }: ServiceContext) => {
  const dir = join(launch.rundir, 'netns');
  const known = [nftables, iptables];
  const settings = settingsOf(launch);
  const wanted = settings.value('BERTH_NAT');
  const allowed = known.filter(({ name }) => wanted === 'auto' || name === wanted);
  // Containers' names start with a letter or digit, so the note is nobody's namespace.
  const nat = createNat(allowed, known, join(dir, '.nat'));
  // Bridges and NAT are part of what users know as IPAM; that is where they look for these lines.
  const ipamLog = createLogger('ipam');
  const namespaces = openNamespaces(dir);
  const lent = openLentAddresses(join(dir, '.lent'));
  const desired = openDesiredState(join(dir, '.desired.json'), (reason) => log.error(reason));
  const overlaps = createHostOverlaps({
    log: ipamLog,
    lent,
    severity: settings.value('BERTH_POOL_OVERLAP'),
    leases: () => [...desired.attachments.values()].flat(),
    announce(found) {
      const overlaps = found.map(({ pool, subnet, with: other }) => ({ pool, subnet, with: other }));
      channel.publish(netContract, 'overlapsChanged', { overlaps, atMs: Date.now() });
    },
  });
  const host = createHostNetwork({
    nat,
    log: ipamLog,
    overlaps,
    awaited: createAwaitedPools(overlaps, () => channel.publish(netContract, 'awaitedChanged', { atMs: Date.now() })),
    passage: createForwardPassage(join(dir, '.forward')),
    notes: {
      lent,
      others: openOthersBridges(join(dir, '.others')),
      marked: openMarkedBridges(join(dir, '.marked')),
    },
    retryMs: RULES_RETRY_MS,
  });
  const announce = (what: readonly string[]): void =>
    channel.publish(netContract, 'networkRepaired', { what: [...what], atMs: Date.now() });
  host.assume(desired.pools);
  const senders = createSenderGuard({
    log: ipamLog,
    notePath: join(dir, '.senders'),
    isWanted: settings.value('BERTH_SENDERS') === 'checked',
    hasBridges: () => desired.pools.some(({ type }) => type === 'bridge'),
    isMacvlan: desired.isMacvlan,
    leases: () => [...desired.attachments.values()],
    retryMs: RULES_RETRY_MS,
  });
  // Before anybody looks for a link by its name.
  const keepsName = (reason: string): void => log.warn(`an interface keeps its name: ${reason}`);
  withHost((netlink) => renameFormer(netlink, keepsName, senders.learnNames));
  const drift = createDriftRepair({ namespaces, host, desired, senders, log, announce });
  const sweep = createDetachedSweep((reason) => log.warn(`interfaces of containers that are gone stay: ${reason}`));
  // Those that a predecessor left.
  sweep.later();
  channel.serve(netContract, netHandlers({ namespaces, host, desired, drift, sweep, senders }));
  const nameServers = watchFiles(RESOLV_CONFS, () => {
    host.lookAround().catch((error: unknown) => log.warn(`name servers could not be looked at: ${String(error)}`));
  });
  return async () => {
    nameServers.close();
    sweep.close();
    await drift.stop();
    ipamLog.flush();
  };
};

void runService(netContract, 'net', wire, trimHeap);
