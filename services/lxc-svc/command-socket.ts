// The names under which LXC's monitor may listen in the abstract socket namespace (lxc_make_abstract_socket_name() in src/lxc/utils.c). Pure.

/** FNV-1a, 64 bits (RFC 9923). */
function fnv1a64(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16).padStart(16, '0');
}

/** sun_path without the leading NUL. */
const MAX_NAME_BYTES = 107;

/** The plain one where it fits, and the one that LXC makes of names that are too long. */
export function commandSocketNames(lxcPath: string, container: string): string[] {
  const plain = `${lxcPath}/${container}/command`;
  const hashed = `lxc/${fnv1a64(`${lxcPath}/${container}`)}/command`;
  return Buffer.byteLength(plain) <= MAX_NAME_BYTES ? [plain, hashed] : [hashed];
}
