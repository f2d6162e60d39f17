// The lxc.container.conf of a container, line by line as the stock packager writes it (lxc.container.conf(5)). Pure.
import { type ContainerArguments, isSet, listOf, ROOT_FILE } from './pack-arguments.ts';
import { volumeMounts } from './pack-volumes.ts';

/** What a packed container starts with; PV_LXC_EXTRA_CONF comes last and so may set another lxc.init.cmd. */
const INIT = '/init';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Every board's default bridge, where the old way of networking expects it. */
const LEGACY_BRIDGE = 'lxcbr0';

export function lxcConfig(name: string, args: ContainerArguments): string {
  const volume = `/volumes/${name}`;
  const lines = [
    `lxc.rootfs.path = overlayfs:${volume}/${ROOT_FILE}:${volume}/lxc-overlay/upper`,
    `lxc.uts.name = ${args.PV_NETWORK_HOSTNAME ?? name}`,
    `lxc.namespace.keep = ${keptNamespaces(args)}`,
    `lxc.init.cmd = ${INIT}`,
    'lxc.init.cwd = /',
    ...[`PATH=${PATH}`, ...linesOf(args.PV_LXC_EXTRA_ENV)].map((variable) => `lxc.environment = ${variable}`),
    'lxc.mount.auto = proc sys:rw cgroup',
    ...mounts(name, args),
    'lxc.tty.max = 8',
    'lxc.pty.max = 1024',
    'lxc.cgroup.devices.allow = a',
    ...capabilities(args),
    ...legacyNetwork(args),
    ...linesOf(args.PV_LXC_EXTRA_CONF),
  ];
  return `${lines.join('\n')}\n`;
}

/** `net` stays in the list for pools too, as in shipped revisions: whoever starts the container drops it. */
function keptNamespaces({ PV_LXC_NETWORK_TYPE: type }: ContainerArguments): string {
  return type === undefined || type === 'host' ? 'user net ipc' : 'user ipc';
}

function mounts(name: string, args: ContainerArguments): readonly string[] {
  const entries: string[] = [];
  if (!isSet(args.PV_RESOLV_CONF_DISABLE)) {
    // Optional: a device without one has no names to resolve either.
    entries.push('/etc/resolv.conf etc/resolv.conf none bind,ro,optional,create=file 0 0');
  }
  if (!isSet(args.PV_RUN_TMPFS_DISABLE)) {
    entries.push('tmpfs run tmpfs rw,nodev,relatime,mode=755,create=dir 0 0');
  }
  entries.push(...volumeMounts(name, args));
  return entries.map((entry) => `lxc.mount.entry = ${entry}`);
}

function capabilities({ PV_LXC_CAP_DROP: dropped }: ContainerArguments): readonly string[] {
  const names = listOf(dropped) ?? [];
  return names.length === 0 ? [] : [`lxc.cap.drop = ${names.join(' ')}`];
}

/** The old way: addresses baked into the configuration. `phys` takes its link from PV_LXC_EXTRA_CONF. */
function legacyNetwork(args: ContainerArguments): readonly string[] {
  const type = args.PV_LXC_NETWORK_TYPE;
  if (type === undefined) return [];
  if (type === 'host') return ['lxc.net.0.type = none'];
  if (type === 'empty') return ['lxc.net.0.type = empty'];
  const address = args.PV_LXC_NETWORK_IPV4_ADDRESS;
  const gateway = args.PV_LXC_NETWORK_IPV4_GATEWAY;
  return [
    `lxc.net.0.type = ${type}`,
    ...(type === 'veth' ? [`lxc.net.0.link = ${LEGACY_BRIDGE}`, 'lxc.net.0.name = eth0'] : []),
    'lxc.net.0.flags = up',
    ...(address === undefined ? [] : [`lxc.net.0.ipv4.address = ${address}`]),
    ...(gateway === undefined ? [] : [`lxc.net.0.ipv4.gateway = ${gateway}`]),
  ];
}

function linesOf(value: string | readonly string[] | undefined): readonly string[] {
  const lines = typeof value === 'string' ? value.split('\n') : (value ?? []);
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}
