// Puts a signature into a state, as `pvr sig add --raw` does: RFC 7515, without the payload.
import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { payloadOf, type Selection, SIGNATURE_SPEC, select, signedInput } from './signature-document.ts';
import { algorithmFor, DIGESTS } from './signatures.ts';

export interface Signing extends Selection {
  /** It becomes `_sigs/<name>.json`. */
  readonly name: string;
  readonly key: KeyObject;
  /** Base64 DER, that of the key first. */
  readonly certificates?: readonly string[] | undefined;
}

type State = Readonly<Record<string, unknown>>;

/** Undefined: the key is of a kind that signs nothing here. */
export function signState(state: State, { name, key, certificates, include, exclude }: Signing): State | undefined {
  const alg = algorithmFor(key);
  if (alg === undefined) return undefined;
  const x5c = certificates === undefined ? {} : { x5c: certificates };
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  const header = { alg, jwk, pvs: { exclude, include }, typ: 'PVS', ...x5c };
  const encoded = Buffer.from(canonicalJson(header)).toString('base64url');
  const input = signedInput(encoded, payloadOf(state, select(state, { include, exclude }).included));
  const signature = sign(DIGESTS[alg], input, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  return { ...state, [`_sigs/${name}.json`]: { '#spec': SIGNATURE_SPEC, protected: encoded, signature } };
}
