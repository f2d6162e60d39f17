// A request's or event's number on the wire: a hash of its name, so that a service carries only the contracts it uses.

/** FNV-1a, 32 bit (RFC 9923). Collisions among our topics are refused when the broker builds its table. */
export function topicId(service: string, name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${service}.${name}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash;
}
