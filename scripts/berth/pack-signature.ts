// The signature of a packed revision: one over all of it, `_sigs/berth.json`.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { signState } from '../../shared/revision/sign-state.ts';
import { algorithmFor } from '../../shared/revision/signatures.ts';
import { readPem } from '../../shared/revision/trust-files.ts';
import type { PackedRevision } from './pack-state.ts';

export interface Signer {
  readonly key: KeyObject;
  readonly certificates: readonly string[] | undefined;
}

/** Undefined when nothing is to be signed. */
export function readSigner(
  keyFile: string | undefined,
  certificateFile: string | undefined,
): Signer | { readonly wrong: string } | undefined {
  if (keyFile === undefined) {
    return certificateFile === undefined ? undefined : { wrong: '--x5c means nothing without --sign KEY' };
  }
  const key = readKey(keyFile);
  if (typeof key === 'string') return { wrong: `--sign ${keyFile}: ${key}` };
  if (certificateFile === undefined) return { key, certificates: undefined };
  const certificates = readCertificates(certificateFile, key);
  return typeof certificates === 'string'
    ? { wrong: `--x5c ${certificateFile}: ${certificates}` }
    : { key, certificates };
}

function readKey(file: string): KeyObject | string {
  try {
    const key = createPrivateKey(readFileSync(file));
    return algorithmFor(key) === undefined
      ? 'is no RSA key of 2048 bits or more, and none of P-256, P-384, P-521'
      : key;
  } catch (error) {
    return error instanceof Error && 'syscall' in error
      ? reasonOf(error)
      : 'holds no private key in PEM, or asks for a password';
  }
}

function readCertificates(file: string, key: KeyObject): readonly string[] | string {
  try {
    const { roots: certificates } = readPem(readFileSync(file, 'latin1'));
    const [first] = certificates;
    if (first === undefined) return 'holds no certificate in PEM';
    if (!first.checkPrivateKey(key)) return 'its first certificate is not that of the key';
    return certificates.map(({ raw }) => raw.toString('base64'));
  } catch (error) {
    return reasonOf(error);
  }
}

export function signedRevision(packed: PackedRevision, signer: Signer | undefined): PackedRevision {
  if (signer === undefined) return packed;
  const state = signState(packed.state, { ...signer, name: 'berth', include: ['**'], exclude: ['_sigs/**'] });
  return state === undefined ? packed : { ...packed, state };
}
