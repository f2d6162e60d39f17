// CRC-32 as zlib, Ethernet and PNG compute it (ISO 3309, reflected polynomial 0xEDB88320); node:zlib has it from Node 22 on only.

const POLYNOMIAL = 0xedb88320;
const TABLE = remainders();

/**
 * Of all bytes, each from two others that it is the sum of. Bit by bit it would be so many rounds that V8 optimises them, and brings 3 MB of its
 * optimising compiler into memory for it.
 */
function remainders(): Uint32Array {
  const table = new Uint32Array(256);
  let remainder = 1;
  for (let bit = 128; bit > 0; bit >>= 1) {
    remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1;
    for (let at = 0; at < table.length; at += 2 * bit) table[at + bit] = remainder ^ (table[at] ?? 0);
  }
  return table;
}

/** Of bytes[start, end). */
export function crc32(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0xffffffff;
  for (let at = start; at < end; at += 1) crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Of a text of characters below 256, one byte each. */
export function crc32Latin1(text: string): number {
  let crc = 0xffffffff;
  for (let at = 0; at < text.length; at += 1) crc = (crc >>> 8) ^ (TABLE[(crc ^ text.charCodeAt(at)) & 255] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}
