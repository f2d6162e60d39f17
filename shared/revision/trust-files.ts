// What the PEM files of a trust store hold (RFC 7468). Pure.
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';

const BLOCK = /-----BEGIN (CERTIFICATE|(?:RSA )?PUBLIC KEY)-----[^-]*-----END \1-----/g;

export interface Pem {
  readonly keys: readonly KeyObject[];
  readonly roots: readonly X509Certificate[];
  /** Blocks that cannot be read. */
  readonly unreadable: number;
}

export function readPem(text: string): Pem {
  const [keys, roots]: [KeyObject[], X509Certificate[]] = [[], []];
  let unreadable = 0;
  for (const [block, label] of text.matchAll(BLOCK)) {
    try {
      if (label === 'CERTIFICATE') roots.push(new X509Certificate(block));
      else keys.push(createPublicKey(block));
    } catch {
      unreadable += 1;
    }
  }
  return { keys, roots, unreadable };
}
