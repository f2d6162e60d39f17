// Names, marks and MACs that follow from what a link is for, so that nothing about links has to be remembered. Pure.
import { sha256 } from '../../shared/digest/sha256.ts';
import { containerName, interfaceName } from '../../shared/schema/names.ts';

/** RFC 4648's alphabet in lower case. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
/** As container programs name theirs: ConnMan leaves such links alone, and so does dhcpcd where it was told to for Docker's. */
const HOST_PREFIX = 'veth';
/** IFNAMSIZ without the NUL. */
const MAX_NAME_CHARACTERS = 15;

/** Asked for again at every comparison, of a handful of interfaces. */
const hostNames = new Map<string, string>();
const MAX_REMEMBERED = 1024;

/** 15 characters: `veth` and 55 bits of SHA-256 over container and interface. Two that collide are told apart by their alias. */
export function hostInterfaceName(container: string, containerInterface: string): string {
  const key = `${container}/${containerInterface}`;
  const known = hostNames.get(key);
  if (known !== undefined) return known;
  const letters = [...sha256(key)].map((byte) => BASE32[byte & 31]);
  const name = (HOST_PREFIX + letters.join('')).slice(0, MAX_NAME_CHARACTERS);
  if (hostNames.size >= MAX_REMEMBERED) hostNames.clear();
  hostNames.set(key, name);
  return name;
}

/** Of a host side that was taken off its container and waits for its end. `0` is no letter of base32, so no container's has it. */
export function detachedName(index: number): string {
  const prefix = `${HOST_PREFIX}0`;
  return prefix + String(index).padStart(MAX_NAME_CHARACTERS - prefix.length, '0');
}

/** IFLA_IFALIAS of the same: nobody's any more. */
export const DETACHED_ALIAS = 'berth:detached';

/** IFLA_IFALIAS of the host side of a container's interface: whose it is. Neither name can hold a slash. */
export function attachmentAlias(container: string, containerInterface: string): string {
  return `berth:${container}/${containerInterface}`;
}

/** Undefined when the alias is not one of `attachmentAlias`. */
export function parseAttachmentAlias(alias: string): { container: string; interface: string } | undefined {
  const [, container, name] = /^berth:([^/]+)\/([^/]+)$/.exec(alias) ?? [];
  if (container === undefined || name === undefined) return undefined;
  if (!containerName.safeParse(container).success || !interfaceName.safeParse(name).success) return undefined;
  return { container, interface: name };
}

/** IFLA_IFALIAS of a bridge that we made; those without it belong to somebody else. */
export function bridgeAlias(pool: string): string {
  return `berth:pool:${pool}`;
}

export function isBridgeAlias(alias: string): boolean {
  return alias.startsWith('berth:pool:');
}

/** Locally administered (bit 1 of the first octet, IEEE 802), and like a container's made from the address: `02:00:` and its octets. */
export function bridgeMac(gateway: string): string {
  return `02:00:${gateway
    .split('.')
    .map((octet) => Number(octet).toString(16).padStart(2, '0'))
    .join(':')}`;
}
