// Chains of certificates, made by openssl, to a trust store.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { trustedKey } from '../../shared/revision/certificate-chain.ts';
import { checkSignatures } from '../../shared/revision/signatures.ts';
import { type Authority, CA, createAuthority, type Issued, LEAF, STATE, signed } from './signed.ts';

const DAY_MS = 86_400_000;
const MORE: Readonly<Record<string, readonly [readonly string[], string]>> = {
  between: [CA, 'root'],
  leaf: [LEAF, 'between'],
  direct: [LEAF, 'root'],
  // Says nothing of its issuer but the name, so that only the signature tells.
  unnumbered: [[...LEAF, 'authorityKeyIdentifier=none'], 'root'],
  plain: [['basicConstraints=CA:FALSE'], 'root'],
  web: [['extendedKeyUsage=serverAuth'], 'root'],
  'issued by no CA': [LEAF, 'direct'],
  narrow: [['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=keyCertSign'], 'root'],
  'below narrow': [LEAF, 'narrow'],
  'CA below narrow': [CA, 'narrow'],
  'too deep': [LEAF, 'CA below narrow'],
  'cannot sign': [['basicConstraints=critical,CA:TRUE', 'keyUsage=digitalSignature'], 'root'],
  'below cannot sign': [LEAF, 'cannot sign'],
};

let authority: Authority;
const all = new Map<string, Issued>();
const get = (name: string): Issued => {
  const found = all.get(name);
  assert.ok(found !== undefined, name);
  return found;
};
before(async () => {
  authority = createAuthority();
  for (const name of ['root', 'stranger']) all.set(name, await authority.issue(name, CA));
  for (const [name, [extensions, issuer]] of Object.entries(MORE))
    all.set(name, await authority.issue(name, extensions, issuer));
});
after(() => authority.remove());

function reason(
  chain: readonly string[],
  trusted: readonly string[] = ['root'],
  atMs: number | undefined = Date.now(),
) {
  const roots = trusted.map((name) => new X509Certificate(get(name).pem));
  const found = trustedKey(
    chain.map((name) => get(name).der),
    roots,
    atMs,
  );
  return found.ok ? 'trusted' : found.reason;
}

describe('the chain of a signature', () => {
  const trusted: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['to a root by one between', ['leaf', 'between'], ['root']],
    ['with its root at the end', ['leaf', 'between', 'root'], ['root']],
    ['straight to a root', ['direct'], ['root']],
    ['of a signer without a purpose', ['plain'], ['root']],
    ['to one of several', ['direct'], ['stranger', 'root']],
    ['to the one between, when that is trusted', ['leaf'], ['between']],
    ['of one that is trusted itself', ['leaf'], ['leaf']],
    ['below an authority that may issue no other', ['below narrow', 'narrow'], ['root']],
  ];
  for (const [what, chain, roots] of trusted) {
    it(`is trusted ${what}`, () => assert.equal(reason(chain, roots), 'trusted'));
  }

  const refused: readonly (readonly [string, readonly string[], readonly string[], RegExp])[] = [
    [
      'to a stranger',
      ['leaf', 'between'],
      ['stranger'],
      /'CN=between' was issued by 'CN=root', which is not in the trust/,
    ],
    ['with the one between missing', ['leaf'], ['root'], /'CN=leaf' was issued by 'CN=between', which is not in/],
    ['with a stranger between', ['leaf', 'stranger'], ['root'], /'CN=leaf' was issued by 'CN=between'/],
    ['to nobody', ['direct'], [], /'CN=direct' was issued by 'CN=root'/],
    ['of its own making', ['stranger'], ['root'], /'CN=stranger' was issued by 'CN=stranger'/],
    ['by one that is no authority', ['issued by no CA', 'direct'], ['root'], /was issued by 'CN=direct'/],
    ['by one that is no authority but trusted', ['issued by no CA'], ['direct'], /was issued by 'CN=direct'/],
    ['by one that may not sign certificates', ['below cannot sign', 'cannot sign'], ['root'], /'CN=cannot sign'/],
    [
      'that is too deep',
      ['too deep', 'CA below narrow', 'narrow'],
      ['root'],
      /'CN=CA below narrow' was issued by 'CN=narrow'/,
    ],
    ['of a web server', ['web'], ['root'], /'CN=web' is not for signing code/],
  ];
  for (const [what, chain, roots, message] of refused) {
    it(`is refused ${what}`, () => assert.match(reason(chain, roots), message));
  }

  it('is refused before and after its time, unless time does not count', () => {
    const now = Date.now();
    assert.match(reason(['direct'], ['root'], now + 3 * DAY_MS), /'CN=direct' was valid until .*, and it is 20/);
    assert.match(reason(['direct'], ['root'], 0), /'CN=direct' is valid from .* on, and it is 1970-/);
    const roots = [new X509Certificate(get('root').pem)];
    assert.ok(trustedKey([get('direct').der], roots, undefined).ok);
  });

  it('is refused to a root of the same name with another key', async () => {
    const impostor = createAuthority();
    try {
      const { pem } = await impostor.issue('root', CA);
      const found = trustedKey([get('unnumbered').der], [new X509Certificate(pem)], Date.now());
      assert.match(
        found.ok ? 'trusted' : found.reason,
        /'CN=unnumbered' was issued by 'CN=root', which is not in the trust/,
      );
    } finally {
      impostor.remove();
    }
  });

  it('gives the key that the signature is checked with', () => {
    const { key, der } = get('direct');
    const root = { keys: [], roots: [new X509Certificate(get('root').pem)], atMs: Date.now() };
    const state = signed(STATE, key, { certificates: [der] });
    assert.deepEqual(checkSignatures(state, root), { signatures: 1, invalid: [], uncovered: [] });
    const stolen = signed(STATE, get('plain').key, { certificates: [der] });
    assert.match(checkSignatures(stolen, root).invalid[0]?.message ?? '', /does not hold/);
    const { invalid } = checkSignatures(state, { ...root, roots: [] });
    assert.match(invalid[0]?.message ?? '', /which is not in the trust store/);
  });

  it('counts even where the key is known on disk', () => {
    const { key, der } = get('direct');
    const state = signed(STATE, key, { certificates: [der] });
    const { publicKey } = new X509Certificate(get('direct').pem);
    assert.equal(checkSignatures(state, { keys: [publicKey], roots: [], atMs: undefined }).invalid.length, 1);
  });
});
