// The signatures of a state against keys and certificates: which are not true, and which parts none of them covers.
import { createPublicKey, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { trustedKey } from './certificate-chain.ts';
import type { Problem } from './revision.ts';
import {
  type Algorithm,
  isSignaturePath,
  MAX_SIGNATURES,
  readSignature,
  type StateSignature,
  signaturePaths,
} from './signature-document.ts';

export interface Trust {
  /** For signatures that bring no certificates. */
  readonly keys: readonly KeyObject[];
  readonly roots: readonly X509Certificate[];
  /** When certificates must be valid; undefined: whenever. */
  readonly atMs: number | undefined;
}

export interface SignatureFindings {
  readonly signatures: number;
  /** Code SIGNATURE_INVALID. */
  readonly invalid: readonly Problem[];
  /** Code NOT_COVERED. */
  readonly uncovered: readonly Problem[];
}

/**
 * `trust` undefined: whether signatures are true to the keys that they bring themselves, which says what was changed and not by whom.
 * Never throws, whatever the state is.
 */
export function checkSignatures(state: unknown, trust: Trust | undefined): SignatureFindings {
  if (!isState(state)) return { signatures: 0, invalid: [], uncovered: [] };
  const paths = signaturePaths(state);
  const [first] = paths;
  if (first !== undefined && paths.length > MAX_SIGNATURES)
    return {
      signatures: paths.length,
      invalid: [invalid(first, `is one of more than ${MAX_SIGNATURES}`)],
      uncovered: [],
    };
  const covered = new Set<string>();
  const problems: Problem[] = [];
  for (const path of paths) {
    const signature = readSignature(state, path);
    const reason = typeof signature === 'string' ? signature : untrue(signature, trust);
    if (reason !== undefined) problems.push(invalid(path, reason));
    if (typeof signature === 'string' || reason !== undefined) continue;
    for (const each of [...signature.included, ...signature.leftOpen]) covered.add(each);
  }
  const uncovered = Object.keys(state).filter((path) => !isSignaturePath(path) && !covered.has(path));
  return { signatures: paths.length, invalid: problems, uncovered: uncovered.map(notCovered) };
}

function isState(state: unknown): state is Readonly<Record<string, unknown>> {
  return typeof state === 'object' && state !== null && !Array.isArray(state);
}

function invalid(path: string, message: string): Problem {
  return { path, code: 'SIGNATURE_INVALID', message };
}

function notCovered(path: string): Problem {
  return { path, code: 'NOT_COVERED', message: 'is covered by no signature that holds; sign it, or use mode lenient' };
}

/** Why the signature cannot be trusted; undefined: it can. */
function untrue(signature: StateSignature, trust: Trust | undefined): string | undefined {
  const { certificates, algorithm } = signature;
  const keys = trust === undefined ? ownKeys(signature) : trustedKeys(certificates, trust);
  if (typeof keys === 'string') return keys;
  const [fitting] = keys.filter((key) => keyProblem(key, algorithm) === undefined);
  const [any] = keys;
  if (any === undefined) return undefined;
  if (fitting === undefined) return `is ${algorithm}, and ${keyProblem(any, algorithm)}`;
  if (keys.some((key) => keyProblem(key, algorithm) === undefined && holds(signature, key))) return undefined;
  return 'does not hold: what it covers was changed after it was signed, or it was signed with another key';
}

function trustedKeys(certificates: readonly string[] | undefined, { keys, roots, atMs }: Trust) {
  if (certificates === undefined) {
    return keys.length > 0 ? keys : 'brings no certificates, and there is no public key pub.pem to check it with';
  }
  const found = trustedKey(certificates, roots, atMs);
  return found.ok ? [found.key] : found.reason;
}

/** None: nothing can be said. */
function ownKeys({ certificates, ownKey }: StateSignature): readonly KeyObject[] | string {
  try {
    if (certificates !== undefined)
      return [new X509Certificate(Buffer.from(certificates[0] ?? '', 'base64')).publicKey];
    return ownKey === undefined ? [] : [createPublicKey({ key: ownKey, format: 'jwk' })];
  } catch {
    return `its ${certificates === undefined ? 'jwk' : 'x5c'} cannot be read`;
  }
}

/** RFC 7518 3.3 and 3.4. */
const CURVES: Readonly<Record<Algorithm, string | undefined>> = {
  RS256: undefined,
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
};

export const DIGESTS: Readonly<Record<Algorithm, string>> = {
  RS256: 'sha256',
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
};

/** RFC 7518 3.3: shorter keys must not be used. */
const MIN_RSA_BITS = 2048;

function keyProblem({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject, algorithm: Algorithm) {
  const curve = CURVES[algorithm];
  const bits = details?.modulusLength ?? 0;
  if (curve !== undefined) {
    if (type === 'ec' && details?.namedCurve === curve) return undefined;
    return `the key is ${details?.namedCurve ?? type}, not ${curve}`;
  }
  if (type !== 'rsa') return `the key is ${type}, not rsa`;
  return bits >= MIN_RSA_BITS ? undefined : `its key of ${bits} bits is too short, ${MIN_RSA_BITS} are needed`;
}

function holds({ algorithm, inputs, signature }: StateSignature, key: KeyObject): boolean {
  const how = { key, dsaEncoding: 'ieee-p1363' } as const;
  try {
    return inputs.some((input) => verify(DIGESTS[algorithm], input, how, signature));
  } catch {
    return false;
  }
}

/** The algorithm that fits a private key; undefined: none. */
export function algorithmFor(key: KeyObject): Algorithm | undefined {
  const all: readonly Algorithm[] = ['RS256', 'ES256', 'ES384', 'ES512'];
  return all.find((each) => keyProblem(key, each) === undefined);
}
