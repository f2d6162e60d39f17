// Links of ours and routers of IPv6: the host is to take none from a container. In: bridges and ports as the kernel has them; out: the
// kernel's setting, and what could not be set.
import { writeFileSync } from 'node:fs';
import type { HealthReason } from '../../shared/schema/health.ts';
import { isBridgeAlias } from './link-names.ts';
import { collectFailures, type NetFailure } from './net-failure.ts';
import type { Link } from './rtnetlink-link.ts';

/**
 * One advertisement would give the host a default route to the container, and an address that the container reaches past all that is
 * filtered of IPv4. netlink tells the setting (ip-sysctl, accept_ra), but only the file takes it. Before the bridge comes up.
 */
export function refuseRouters(links: readonly Link[], record: (step: string) => void): readonly HealthReason[] {
  const accepting = links.filter((link) => isBridgeAlias(link.alias) && link.acceptsRouters);
  return accepting.flatMap(({ name }) => {
    const step = `have bridge ${name} take no IPv6 router`;
    return takeNone(name, step, record).map(({ message }) => ({
      code: 'ROUTERS_ACCEPTED',
      subject: `bridge ${name}`,
      message: `${message}; a container there can have the machine's IPv6 traffic sent to it`,
    }));
  });
}

/**
 * The host side of a container's interface, which hears a router itself while it is in no bridge: while one of somebody else's is gone.
 * Where it cannot be set the container has its network all the same.
 */
export function refuseRoutersAtPort(name: string, record: (step: string) => void): void {
  takeNone(name, `have ${name} take no IPv6 router`, record);
}

function takeNone(name: string, step: string, record: (step: string) => void): readonly NetFailure[] {
  const act = (): void => {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/accept_ra`, '0');
    record(step);
  };
  return collectFailures([{ step, act }]);
}
