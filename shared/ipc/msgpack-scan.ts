// Refuses msgpack that our payloads never contain, before anything decodes it: extensions, bin, deep nesting, lengths
// that the bytes cannot hold, bytes left over. Source of the byte values: github.com/msgpack/msgpack/blob/master/spec.md

/** Our deepest payload (container row: list → row → network → interfaces → row) uses 6. */
const MAX_DEPTH = 16;

// What follows a head byte: `fixed` bytes, or a length field of `lengthBytes` that counts bytes or elements.
type Head =
  | { readonly shape: 'fixed'; readonly bytes: number }
  | { readonly shape: 'string'; readonly lengthBytes: number; readonly length: number }
  | { readonly shape: 'array' | 'map'; readonly lengthBytes: number; readonly length: number };

const HEADS: readonly (Head | undefined)[] = Array.from({ length: 256 }, (_, byte): Head | undefined => {
  if (byte <= 0x7f || byte >= 0xe0) return { shape: 'fixed', bytes: 0 };
  if (byte <= 0x8f) return { shape: 'map', lengthBytes: 0, length: byte & 0x0f };
  if (byte <= 0x9f) return { shape: 'array', lengthBytes: 0, length: byte & 0x0f };
  if (byte <= 0xbf) return { shape: 'string', lengthBytes: 0, length: byte & 0x1f };
  if (byte === 0xc0 || byte === 0xc2 || byte === 0xc3) return { shape: 'fixed', bytes: 0 };
  if (byte === 0xca) return { shape: 'fixed', bytes: 4 };
  if (byte === 0xcb) return { shape: 'fixed', bytes: 8 };
  if (byte >= 0xcc && byte <= 0xcf) return { shape: 'fixed', bytes: 1 << (byte - 0xcc) };
  if (byte >= 0xd0 && byte <= 0xd3) return { shape: 'fixed', bytes: 1 << (byte - 0xd0) };
  if (byte >= 0xd9 && byte <= 0xdb) return { shape: 'string', lengthBytes: 1 << (byte - 0xd9), length: 0 };
  if (byte === 0xdc || byte === 0xdd) return { shape: 'array', lengthBytes: 2 << (byte - 0xdc), length: 0 };
  if (byte === 0xde || byte === 0xdf) return { shape: 'map', lengthBytes: 2 << (byte - 0xde), length: 0 };
  return undefined;
});

function readLength(bytes: Uint8Array, at: number, count: number): number {
  let length = 0;
  for (let index = 0; index < count; index += 1) length = length * 256 + (bytes[at + index] ?? 0);
  return length;
}

/** Whether `bytes` from `start` to `end` are exactly one value made of nil, booleans, numbers, strings, arrays and maps. Linear, allocates nothing per byte. */
export function isPlainMsgpack(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
  const open: number[] = [1];
  let at = start;
  while (open.length > 0) {
    const level = open.length - 1;
    const left = open[level] ?? 0;
    if (left === 0) {
      open.pop();
      continue;
    }
    open[level] = left - 1;
    const byte = at < end ? bytes[at] : undefined;
    const head = byte === undefined ? undefined : HEADS[byte];
    if (head === undefined) return false;
    at += 1;
    if (head.shape === 'fixed') {
      at += head.bytes;
    } else {
      const length = head.lengthBytes === 0 ? head.length : readLength(bytes, at, head.lengthBytes);
      at += head.lengthBytes;
      if (head.shape === 'string') {
        at += length;
      } else {
        const elements = head.shape === 'map' ? length * 2 : length;
        if (elements > end - at || open.length >= MAX_DEPTH) return false;
        open.push(elements);
      }
    }
    if (at > end) return false;
  }
  return at === end;
}
