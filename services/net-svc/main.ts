// Wiring of net-svc.
import { join } from 'node:path';
import { createLogger } from '../../shared/log/logger.ts';
import { runService } from '../../shared/service/run-service.ts';
import { netContract } from './contract.ts';
import { netHandlers } from './handlers.ts';
import { createHostNetwork } from './host-network.ts';
import { createNat } from './nat.ts';
import { iptables, nftables } from './nat-command.ts';
import { openNamespaces } from './netns.ts';

void runService(netContract, 'net', ({ channel, launch }) => {
  const dir = join(launch.rundir, 'netns');
  const known = [nftables, iptables];
  const preferred = launch.natBackends ?? ['nftables', 'iptables'];
  const allowed = preferred.flatMap((name) => known.filter((backend) => backend.name === name));
  // Containers' names start with a letter or digit, so the note is nobody's namespace.
  const nat = createNat(allowed, known, join(dir, '.nat'));
  // Bridges and NAT are part of what users know as IPAM; that is where they look for these lines.
  const ipamLog = createLogger('ipam');
  channel.serve(netContract, netHandlers(openNamespaces(dir), createHostNetwork(nat, ipamLog)));
  return () => ipamLog.flush();
});
