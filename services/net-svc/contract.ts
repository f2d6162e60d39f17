// net-svc: bridges, network namespaces, veth pairs, addresses, routes, NAT and forwarding. Speaks rtnetlink itself.
import * as z from 'zod/mini';
import { defineContract } from '../../shared/ipc/contract.ts';
import { healthRequest } from '../../shared/schema/health.ts';
import { containerName, epochMs, interfaceName, ipv4, ipv4Cidr, pid, poolName } from '../../shared/schema/names.ts';
import { bridgePool, lease } from '../../shared/schema/network.ts';

/** `step` names what was tried (e.g. `create bridge pvbr0`), `reason` what the kernel or tool said. Everything done before it is undone. */
const netFailed = z.strictObject({ step: z.string(), reason: z.string() });

/** A pool in the way of what the machine itself uses. `with` is for people: `route 10.0.0.0/8 by wg0`; `server`: the name server that it is. */
const overlap = z.strictObject({ pool: poolName, subnet: ipv4Cidr, with: z.string() });
const foundOverlap = z.strictObject({ ...overlap.shape, server: z.optional(ipv4) });

const attachment = z.strictObject({
  container: containerName,
  /** The bind-mounted namespace file, <rundir>/netns/<container>. */
  netns: z.string(),
  interfaces: z.array(z.strictObject({ interface: interfaceName, hostInterface: interfaceName })),
});

export const netContract = defineContract({
  service: 'net-svc',
  job: 'Builds and keeps the network of pools and containers: bridges, namespaces, veth pairs, addresses, routes, NAT.',
  privileges: {
    user: 'berth-net',
    capabilities: ['net_admin', 'net_broadcast', 'net_raw', 'sys_admin', 'sys_ptrace'],
    reasons: {
      net_admin: 'links, addresses, routes, nft rules and net.* sysctls',
      net_broadcast: 'to hear on one socket of changes in the namespaces of all containers (NETLINK_LISTEN_ALL_NSID)',
      net_raw: 'iptables of the legacy kind opens a raw socket; net-svc itself opens none',
      sys_admin: 'unshare(CLONE_NEWNET), setns(2) into namespaces, and the bind mount that keeps one alive',
      sys_ptrace: 'to open /proc/<pid>/ns/net of a running container whose namespace file lost its mount',
    },
    noNewPrivileges: true,
    umask: 0o022,
    permissionModel: undefined,
  },
  files: { owns: ['<rundir>/netns'], reads: [], writes: ['/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf'] },
  watch: { readyMs: 10_000, beatMs: 1_000, missedBeats: 3 },
  requests: {
    /**
     * Makes the host side equal to these pools: missing bridges, rules and forwarding are added, ours that no pool names are removed. No pools: nothing
     * is touched. A macvlan pool needs its parent for the attaching of its containers only.
     */
    configure: {
      callers: ['state-svc'],
      params: z.strictObject({
        pools: z.array(bridgePool),
        /** Name servers of the machine that are containers of these pools: in nobody's way. */
        servers: z.optional(z.array(ipv4)),
        /** Pools that overlap are not made, told in `leftOut`, and the others are made; without it all are refused. */
        leaveOut: z.optional(z.boolean()),
      }),
      result: z.strictObject({
        nat: z.enum(['nftables', 'iptables', 'unavailable', 'unneeded']),
        leftOut: z.array(foundOverlap),
      }),
      errors: {
        NET_FAILED: netFailed,
        /** Pools that the kernel does not have yet; nothing was touched. What comes later is told in `health` and by `overlapsChanged`. */
        POOL_OVERLAPS: z.strictObject({ overlaps: z.array(foundOverlap) }),
      },
      idempotent: true,
      deadlineMs: 10_000,
    },
    /** Namespace with these interfaces, up, addressed and routed by the first one's gateway. What is right already stays untouched. */
    attach: {
      callers: ['state-svc'],
      params: z.strictObject({
        container: containerName,
        interfaces: z.array(lease).check(z.minLength(1)),
        /** The first process of a container that runs: its own namespace is found where the file lost it, never a fresh one made. */
        pid: z.optional(pid),
      }),
      result: attachment,
      errors: { NET_FAILED: netFailed },
      idempotent: true,
      deadlineMs: 10_000,
    },
    /**
     * Removes the namespace and its interfaces: address, MAC and names are free with the answer, the last of a link ends a moment later. Goes on
     * past errors and reports them all in `reason`. Unknown container: a no-op.
     */
    detach: {
      callers: ['state-svc'],
      params: z.strictObject({ container: containerName }),
      result: z.strictObject({}),
      errors: { NET_FAILED: netFailed },
      idempotent: true,
      deadlineMs: 10_000,
    },
    /** What the kernel has, not what was asked for. In alphabetical order; `next`: ask again with it as `after` for what follows. */
    listAttachments: {
      callers: ['state-svc', 'ctl-svc'],
      params: z.strictObject({ after: z.optional(z.string()) }),
      result: z.strictObject({ attachments: z.array(attachment), next: z.optional(z.string()) }),
      errors: {},
      idempotent: true,
      deadlineMs: 2_000,
    },
    /** What the machine itself has on these links, and which of them are not there. */
    listHostAddresses: {
      callers: ['state-svc'],
      params: z.strictObject({ links: z.array(interfaceName) }),
      result: z.strictObject({
        addresses: z.array(z.strictObject({ link: interfaceName, address: ipv4 })),
        missing: z.array(interfaceName),
      }),
      errors: { NET_FAILED: netFailed },
      idempotent: true,
      deadlineMs: 2_000,
    },
    health: healthRequest,
  },
  events: {
    /** Something that was asked for was gone and is back: one text for each change, e.g. `create bridge pvbr0`. */
    networkRepaired: {
      subscribers: ['ctl-svc'],
      payload: z.strictObject({ what: z.array(z.string()), atMs: epochMs }),
    },
    /** All overlaps there are now, of pools that stand: an uplink gained or lost a subnet. */
    overlapsChanged: {
      subscribers: ['ctl-svc'],
      payload: z.strictObject({ overlaps: z.array(overlap), atMs: epochMs }),
    },
    /** Parents of macvlan pools, or what pools that were left out overlap, came or went: `configure` may answer otherwise now. Also at the start. */
    awaitedChanged: {
      subscribers: ['state-svc'],
      payload: z.strictObject({ atMs: epochMs }),
    },
  },
});
