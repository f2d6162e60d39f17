// A request's or event's number on the wire: a hash of its name, so that a service carries only the contracts it uses.

/** FNV-1a, 32 bit (RFC 9923), of names in ASCII. Collisions among our topics are refused when the broker builds its table. */
export function topicId(service: string, name: string): number {
  let hash = 0x811c9dc5;
  const whole = `${service}.${name}`;
  for (let at = 0; at < whole.length; at += 1) hash = Math.imul(hash ^ whole.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
