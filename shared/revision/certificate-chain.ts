// From the certificates that travel with a signature to one that the device trusts (RFC 5280, as far as signing a state needs it).
import { type KeyObject, X509Certificate } from 'node:crypto';
import { isoTime } from '../time/iso-time.ts';

export type ChainKey = { readonly ok: true; readonly key: KeyObject } | { readonly ok: false; readonly reason: string };

/**
 * The key of the first of `certificates` (base64 DER), when each was issued by the next and one by a root, or is one. `atMs`: when they
 * must be valid; undefined: whenever. Names what breaks the chain otherwise.
 */
export function trustedKey(
  certificates: readonly string[],
  roots: readonly X509Certificate[],
  atMs: number | undefined,
): ChainKey {
  const chain: X509Certificate[] = [];
  for (const [index, each] of certificates.entries()) {
    try {
      chain.push(new X509Certificate(Buffer.from(each, 'base64')));
    } catch {
      return { ok: false, reason: `certificate ${index + 1} of its x5c cannot be read` };
    }
  }
  const [leaf] = chain;
  if (leaf === undefined) return { ok: false, reason: 'its x5c is empty' };
  const reason = maySign(leaf) ? chainProblem(chain, roots, atMs) : `${shown(leaf)} is not for signing code`;
  return reason === undefined ? { ok: true, key: leaf.publicKey } : { ok: false, reason };
}

function chainProblem(
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  atMs: number | undefined,
): string | undefined {
  for (const [place, each] of chain.entries()) {
    const outdated = dateProblem(each, atMs);
    if (outdated !== undefined) return outdated;
    if (roots.some(({ raw }) => raw.equals(each.raw))) return undefined;
    const issuers = roots.filter((root) => issued(root, each, place));
    if (issuers.some((root) => dateProblem(root, atMs) === undefined)) return undefined;
    if (issuers[0] !== undefined) return dateProblem(issuers[0], atMs);
    const next = chain[place + 1];
    if (next === undefined || !issued(next, each, place))
      return `${shown(each)} was issued by ${named(each.issuer)}, which is not in the trust store`;
  }
  return 'its chain leads to no certificate of the trust store';
}

/** `below`: certificates between it and the signer's, which its path length bounds. */
function issued(issuer: X509Certificate, certificate: X509Certificate, below: number): boolean {
  if (!issuer.ca || !certificate.checkIssued(issuer)) return false;
  return certificate.verify(issuer.publicKey) && below <= pathLength(issuer);
}

function dateProblem(certificate: X509Certificate, atMs: number | undefined): string | undefined {
  if (atMs === undefined) return undefined;
  const { validFrom, validTo } = certificate;
  const today = isoTime(atMs);
  if (!(Date.parse(validFrom) <= atMs))
    return `${shown(certificate)} is valid from ${validFrom} on, and it is ${today}`;
  if (!(atMs <= Date.parse(validTo))) return `${shown(certificate)} was valid until ${validTo}, and it is ${today}`;
  return undefined;
}

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const ANY_PURPOSE = '2.5.29.37.0';

/** A trust store may be one that the whole system uses: a web server's certificate signs no revision. */
function maySign({ keyUsage: purposes }: X509Certificate): boolean {
  return purposes === undefined || purposes.includes(CODE_SIGNING) || purposes.includes(ANY_PURPOSE);
}

/** OID 2.5.29.19, basicConstraints. */
const BASIC_CONSTRAINTS = Buffer.from('0603551d13', 'hex');

/**
 * How many certificates of authorities may follow; Node does not tell. Read from the DER of the extension: OID, TRUE when critical, and
 * an octet string of SEQUENCE { BOOLEAN, INTEGER }. What cannot be read counts as 0.
 */
function pathLength({ raw }: X509Certificate): number {
  const found = raw.indexOf(BASIC_CONSTRAINTS);
  if (found < 0) return 0;
  let at = found + BASIC_CONSTRAINTS.length;
  if (raw[at] === 0x01) at += 3;
  if (raw[at] !== 0x04 || raw[at + 2] !== 0x30) return 0;
  const end = at + 4 + (raw[at + 3] ?? 0);
  at += 4;
  if (raw[at] === 0x01) at += 3;
  if (at >= end) return Number.POSITIVE_INFINITY;
  return raw[at] === 0x02 && raw[at + 1] === 1 ? (raw[at + 2] ?? 0) : 0;
}

function shown({ subject }: X509Certificate): string {
  return `the certificate of ${named(subject)}`;
}

function named(name: string): string {
  return `'${name.replaceAll('\n', ', ').slice(0, 200)}'`;
}
