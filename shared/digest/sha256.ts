// SHA-256 of short texts (FIPS 180-4), for names that follow from others: node:crypto brings OpenSSL, 4 ms of CPU at each start and 0.4 MB.

const BLOCK_BYTES = 64;
/** Of the message, in bits, at the end of the last block. */
const LENGTH_BYTES = 8;
const ROUNDS = 64;

interface Constants {
  readonly start: readonly number[];
  readonly rounds: readonly number[];
}

let constants: Constants | undefined;

/** The first 32 bits behind the point of square roots (for the start) and cube roots (for each round) of the first primes. */
function constantsOnce(): Constants {
  if (constants === undefined) {
    const primes: number[] = [];
    for (let number = 2; primes.length < ROUNDS; number += 1) {
      if (primes.every((prime) => number % prime !== 0)) primes.push(number);
    }
    const fraction = (root: number): number => Math.floor((root % 1) * 2 ** 32);
    constants = {
      start: primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime))),
      rounds: primes.map((prime) => fraction(Math.cbrt(prime))),
    };
  }
  return constants;
}

const rotated = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits));

/** The message, a bit, zeros, and the message's length. */
function padded(bytes: Buffer): Buffer {
  const size = Math.ceil((bytes.length + 1 + LENGTH_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
  const message = Buffer.alloc(size);
  message.set(bytes);
  message[bytes.length] = 0x80;
  message.writeBigUInt64BE(BigInt(bytes.length) * 8n, size - LENGTH_BYTES);
  return message;
}

/** 32 bytes. */
export function sha256(text: string): Buffer {
  const { start, rounds } = constantsOnce();
  const message = padded(Buffer.from(text));
  const state = Uint32Array.from(start);
  const words = new Uint32Array(ROUNDS);
  const word = (index: number): number => words[index] ?? 0;
  for (let at = 0; at < message.length; at += BLOCK_BYTES) {
    for (let round = 0; round < ROUNDS; round += 1) {
      if (round < 16) {
        words[round] = message.readUInt32BE(at + round * 4);
        continue;
      }
      const [early, late] = [word(round - 15), word(round - 2)];
      const mixedEarly = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
      const mixedLate = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
      words[round] = word(round - 16) + mixedEarly + word(round - 7) + mixedLate;
    }
    let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
    for (let round = 0; round < ROUNDS; round += 1) {
      const chosen = (e & f) ^ (~e & g);
      const first = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + chosen + (rounds[round] ?? 0) + word(round);
      const second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) state[index] = (state[index] ?? 0) + value;
  }
  const digest = Buffer.alloc(32);
  for (const [index, value] of state.entries()) digest.writeUInt32BE(value, index * 4);
  return digest;
}
