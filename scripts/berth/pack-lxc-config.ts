// The lxc.container.conf of a container, line by line as the stock packager writes it (lxc.container.conf(5)). Pure.
import { isSet, linesOf, listOf } from './pack-argument-values.ts';
import { type ContainerArguments, ROOT_FILE } from './pack-arguments.ts';
import { deviceMounts, importMounts } from './pack-mounts.ts';
import { volumeMounts } from './pack-volumes.ts';

/** What a packed container starts with; PV_LXC_EXTRA_CONF comes last and so may set another lxc.init.cmd. */
const INIT = '/init';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Every board's default bridge, where the old way of networking expects it. */
const LEGACY_BRIDGE = 'lxcbr0';

export function lxcConfig(name: string, args: ContainerArguments): string {
  const lines = [
    `lxc.rootfs.path = ${rootPath(name)}`,
    `lxc.uts.name = ${args.PV_NETWORK_HOSTNAME ?? name}`,
    `lxc.namespace.keep = ${keptNamespaces(args)}`,
    `lxc.init.cmd = ${INIT}`,
    'lxc.init.cwd = /',
    ...[`PATH=${PATH}`, ...linesOf(args.PV_LXC_EXTRA_ENV)].map((variable) => `lxc.environment = ${variable}`),
    ...(isSet(args.PV_LXC_DISABLE_CONSOLE) ? ['lxc.console.path = none'] : []),
    `lxc.mount.auto = ${automaticMounts(args)}`,
    ...(isSet(args.PV_DISABLE_AUTODEV) ? ['lxc.autodev = 0'] : []),
    ...mounts(name, args),
    `lxc.tty.max = ${args.LXC_TTY_MAX ?? 8}`,
    `lxc.pty.max = ${args.LXC_PTY_MAX ?? 1024}`,
    ...devices(args),
    ...linesOf(args.PVR_LXC_CGROUP_V1).map((limit) => `lxc.cgroup.${limit}`),
    ...capabilities('drop', args.PV_LXC_CAP_DROP),
    ...capabilities('keep', args.PV_LXC_CAP_KEEP),
    ...legacyNetwork(args),
    ...linesOf(args.PV_LXC_EXTRA_CONF),
  ];
  return `${lines.join('\n')}\n`;
}

export function rootPath(name: string): string {
  return `overlayfs:/volumes/${name}/${ROOT_FILE}:/volumes/${name}/lxc-overlay/upper`;
}

/** `net` stays in the list for pools too, as in shipped revisions: whoever starts the container drops it. */
function keptNamespaces({ PV_LXC_NAMESPACE_KEEP: kept, PV_LXC_NETWORK_TYPE: type }: ContainerArguments): string {
  const names = listOf(kept) ?? [];
  if (names.length > 0) return names.join(' ');
  return type === undefined || type === 'host' ? 'user net ipc' : 'user ipc';
}

function automaticMounts(args: ContainerArguments): string {
  const { LXC_MOUNT_AUTO_PROC: proc, LXC_MOUNT_AUTO_SYS: sys, LXC_MOUNT_AUTO_GROUP: group } = args;
  return [proc ?? 'proc', sys ?? 'sys:rw', group ?? 'cgroup'].join(' ');
}

function mounts(name: string, args: ContainerArguments): readonly string[] {
  const entries = [...deviceMounts(args), ...volumeMounts(name, args), ...importMounts(name, args)];
  return entries.map((entry) => `lxc.mount.entry = ${entry}`);
}

/** All devices, or those of a list and no other. */
function devices({ PVR_LXC_CGROUP_DEVICES_WHITE: white }: ContainerArguments): readonly string[] {
  const rules = linesOf(white).map((rule) => `lxc.cgroup.devices.allow = ${rule}`);
  return rules.length === 0 ? ['lxc.cgroup.devices.allow = a'] : ['lxc.cgroup.devices.deny = a', ...rules];
}

/** LXC knows them in lower case. */
function capabilities(what: 'drop' | 'keep', written: ContainerArguments['PV_LXC_CAP_DROP']): readonly string[] {
  const names = listOf(written) ?? [];
  return names.length === 0 ? [] : [`lxc.cap.${what} = ${names.join(' ').toLowerCase()}`];
}

/** The old way: addresses baked into the configuration. The gateway of `auto` is the bridge's own address. */
function legacyNetwork(args: ContainerArguments): readonly string[] {
  const type = args.PV_LXC_NETWORK_TYPE;
  if (type === undefined) return [];
  if (type === 'host') return ['lxc.net.0.type = none'];
  if (type === 'empty') return ['lxc.net.0.type = empty'];
  const link = type === 'veth' ? LEGACY_BRIDGE : args.PV_LXC_NETWORK_LINK;
  const address = args.PV_LXC_NETWORK_IPV4_ADDRESS;
  const gateway = args.PV_LXC_NETWORK_IPV4_GATEWAY ?? (type === 'veth' && address !== undefined ? 'auto' : undefined);
  return [
    `lxc.net.0.type = ${type}`,
    ...(link === undefined ? [] : [`lxc.net.0.link = ${link}`]),
    ...(type === 'veth' ? ['lxc.net.0.name = eth0'] : []),
    'lxc.net.0.flags = up',
    ...(address === undefined ? [] : [`lxc.net.0.ipv4.address = ${address}`]),
    ...(gateway === undefined ? [] : [`lxc.net.0.ipv4.gateway = ${gateway}`]),
  ];
}
