// Signatures of states against keys: what holds, what does not, and what is left without one.
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../../shared/revision/canonical-json.ts';
import { checkSignatures, type Trust } from '../../shared/revision/signatures.ts';
import { KEY_PAIRS, STATE, signed } from './signed.ts';

const { privateKey: KEY } = KEY_PAIRS.ES256;
const trust = (...keys: readonly KeyObject[]): Trust => ({ keys: keys.map(publicOf), roots: [], atMs: 0 });
const publicOf = (key: KeyObject): KeyObject => (key.type === 'private' ? createPublicKey(key) : key);
const check = (state: unknown, ...keys: readonly KeyObject[]) =>
  checkSignatures(state, trust(...(keys.length === 0 ? [KEY] : keys)));
const reasons = (state: unknown, ...keys: readonly KeyObject[]): readonly string[] =>
  check(state, ...keys).invalid.map(({ message }) => message);
const open = (state: unknown): readonly string[] => check(state).uncovered.map(({ path }) => path);

type State = Readonly<Record<string, unknown>>;
const CHANGED = /does not hold: what it covers was changed after it was signed, or it was signed with another key/;

/** Another protected header over the same state, signed as it should be. */
function withHeader(state: State, change: object): State {
  const document = JSON.parse(JSON.stringify(state['_sigs/all.json']));
  const header = { ...JSON.parse(Buffer.from(document.protected, 'base64url').toString()), ...change };
  document.protected = Buffer.from(JSON.stringify(header)).toString('base64url');
  return { ...state, '_sigs/all.json': document };
}

describe('signatures of a state', () => {
  for (const [algorithm, { privateKey, publicKey }] of Object.entries(KEY_PAIRS)) {
    it(`hold with ${algorithm}, and with its key alone`, () => {
      const state = signed(STATE, privateKey);
      assert.deepEqual(check(state, publicKey), { signatures: 1, invalid: [], uncovered: [] });
      for (const { privateKey: other } of Object.values(KEY_PAIRS)) {
        if (other !== privateKey) assert.equal(check(state, other).invalid.length, 1);
      }
      assert.equal(check({ ...state, 'db/run.json': { name: 'dc' } }, publicKey).invalid.length, 1);
    });
  }

  it('hold in whatever order the state is written', () => {
    const state = signed(STATE, KEY);
    assert.deepEqual(reasons(Object.fromEntries(Object.entries(state).reverse())), []);
  });

  it('hold with one of several keys', () => {
    assert.deepEqual(reasons(signed(STATE, KEY), KEY_PAIRS.RS256.publicKey, KEY), []);
  });

  it('do not hold with another key of the same kind', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    assert.match(reasons(signed(STATE, KEY), publicKey)[0] ?? '', CHANGED);
  });

  it('hold over control characters, in capital hex as pvr writes them and in the small one of earlier packs', () => {
    const state = { ...STATE, 'web/src.json': { from: 'a\u001bb' } };
    const withHex = (written: string): State => {
      const document = JSON.parse(JSON.stringify(signed(state, KEY)['_sigs/all.json']));
      const payload = canonicalJson(state).replace('\\u001B', written);
      const input = `${document.protected}.${Buffer.from(payload).toString('base64url')}`;
      const signature = sign('sha256', Buffer.from(input), { key: KEY, dsaEncoding: 'ieee-p1363' });
      return { ...state, '_sigs/all.json': { ...document, signature: signature.toString('base64url') } };
    };
    assert.deepEqual(reasons(withHex('\\u001B')), []);
    assert.deepEqual(reasons(withHex('\\u001b')), []);
    assert.match(reasons(withHex('\\u001C'))[0] ?? '', CHANGED);
    assert.deepEqual(reasons(signed(state, KEY)), []);
  });

  it('need a key', () => {
    const { invalid } = checkSignatures(signed(STATE, KEY), { keys: [], roots: [], atMs: 0 });
    assert.match(invalid[0]?.message ?? '', /no public key pub\.pem/);
  });

  const digests = { 'web/root.squashfs': 'c'.repeat(64), '_config/web/etc/motd': 'c'.repeat(64) };
  for (const [path, digest] of Object.entries(digests)) {
    it(`find another object at ${path}`, () => {
      const { invalid, uncovered } = check({ ...signed(STATE, KEY), [path]: digest });
      assert.equal(invalid[0]?.code, 'SIGNATURE_INVALID');
      assert.equal(invalid[0]?.path, '_sigs/all.json');
      assert.equal(uncovered.length, Object.keys(STATE).length);
    });
  }

  it('find any change of what they cover, any part less, and any part more', () => {
    const paths = Object.keys(STATE);
    const state = signed(STATE, KEY);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.option(fc.jsonValue(), { nil: undefined }), (path, value) => {
        fc.pre(JSON.stringify(value) !== JSON.stringify(STATE[path]) && !Object.is(value, -0));
        const { [path]: _gone, ...rest } = state;
        assert.equal(reasons(value === undefined ? rest : { ...state, [path]: value }).length, 1);
        assert.equal(reasons({ ...state, [`${path}.more`]: value ?? null }).length, 1);
      }),
    );
  });

  it('find any change of themselves', () => {
    const state = signed(STATE, KEY);
    const document = JSON.parse(JSON.stringify(state['_sigs/all.json']));
    fc.assert(
      fc.property(fc.constantFrom('protected', 'signature'), fc.nat(), fc.nat(63), (part, where, letter) => {
        const text: string = document[part];
        const bytes = Buffer.from(text, 'base64url');
        const at = where % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ (1 + letter);
        const changed = { ...document, [part]: bytes.toString('base64url') };
        assert.equal(reasons({ ...state, '_sigs/all.json': changed }).length, 1);
      }),
    );
  });

  it('cover what they include, and what they leave open on purpose, and nothing else', () => {
    const web = { name: 'web', include: ['web/**', '_config/web/**'], exclude: ['*/src.json'] };
    const state = { ...signed(STATE, KEY, web), 'db/src.json': {} };
    assert.deepEqual(open(state), ['#spec', 'device.json', 'db/run.json']);
    assert.deepEqual(reasons({ ...state, 'web/src.json': { from: 'elsewhere' } }), []);
    assert.deepEqual(reasons({ ...state, 'db/src.json': { from: 'elsewhere' } }), []);
    assert.match(reasons({ ...state, 'web/run.json': {} })[0] ?? '', CHANGED);
    const rest = { name: 'rest', include: ['db/**', '*'], exclude: [] };
    assert.deepEqual(open(signed(state, KEY, rest)), []);
  });

  it('cover nothing when they do not hold, while the others do', () => {
    const web = signed(STATE, KEY, { name: 'web', include: ['web/**'], exclude: [] });
    const both = signed(web, KEY, { name: 'db', include: ['db/**'], exclude: [] });
    const broken = check({ ...both, 'db/run.json': {} });
    assert.deepEqual(
      broken.invalid.map(({ path }) => path),
      ['_sigs/db.json'],
    );
    assert.ok(broken.uncovered.some(({ path }) => path === 'db/run.json'));
    assert.ok(!broken.uncovered.some(({ path }) => path === 'web/run.json'));
  });

  it('count wherever they stand, but cover themselves only below _sigs/', () => {
    const { '_sigs/all.json': document } = signed(STATE, KEY);
    const moved = { ...STATE, 'sig.json': document };
    assert.match(reasons(moved)[0] ?? '', CHANGED);
    const apart = signed(STATE, KEY, { exclude: ['sig.json', '_sigs/**'] });
    const { '_sigs/all.json': own, ...rest } = apart;
    assert.deepEqual(reasons({ ...rest, 'sig.json': own }), []);
  });

  it('are not needed for a state that has none, which is not covered then', () => {
    assert.deepEqual(reasons(STATE), []);
    assert.deepEqual(open(STATE), Object.keys(STATE));
  });

  const headers: readonly (readonly [string, object, RegExp])[] = [
    ['no algorithm at all', { alg: 'none' }, /alg must be one of RS256, ES256, ES384, ES512/],
    ['a shared secret', { alg: 'HS256' }, /alg must be one of/],
    ['the algorithm of another key', { alg: 'RS256' }, /is RS256, and the key is ec, not rsa/],
    ['the algorithm of another curve', { alg: 'ES384' }, /is ES384, and the key is prime256v1, not secp384r1/],
    ['another type', { typ: 'JWT' }, /typ must be PVS/],
    ['an extension that must be understood', { crit: ['b64'], b64: false }, /crit asks for extensions/],
    ['no patterns', { pvs: {} }, /pvs must have include and exclude/],
    ['patterns that are none', { pvs: { include: [1], exclude: [] } }, /pvs must have include and exclude/],
    ['a pattern nobody can read', { pvs: { include: ['{a}'], exclude: [] } }, /its pattern '\{a\}' has \[ \]/],
    ['patterns of another state', { pvs: { include: ['x/**'], exclude: [] } }, /includes nothing of this state: x/],
    ['certificates that are none', { x5c: 'x' }, /x5c must be an array/],
    ['too many certificates', { x5c: Array(9).fill('AAAA') }, /x5c must be an array of 1 to 8/],
    ['garbage as certificate', { x5c: ['AAAA'] }, /certificate 1 of its x5c cannot be read/],
  ];
  for (const [what, change, message] of headers) {
    it(`are refused with ${what}`, () => {
      assert.match(reasons(withHeader(signed(STATE, KEY), change))[0] ?? '', message);
    });
  }

  it('of a key that is too short are refused', () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const state = withHeader(signed(STATE, KEY_PAIRS.RS256.privateKey), {});
    const document = JSON.parse(JSON.stringify(state['_sigs/all.json']));
    document.signature = sign('sha256', Buffer.from('whatever'), privateKey).toString('base64url');
    assert.match(
      reasons({ ...state, '_sigs/all.json': document }, publicKey)[0] ?? '',
      /its key of 1024 bits is too short/,
    );
  });

  it('are not taken from the key that a state brings itself', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const state = signed(STATE, privateKey);
    assert.deepEqual(reasons(state, publicKey), []);
    assert.match(reasons(state)[0] ?? '', CHANGED);
  });

  it('can be held against their own key by who knows no other, to find changes', () => {
    const state = signed(STATE, KEY);
    assert.deepEqual(checkSignatures(state, undefined).invalid, []);
    assert.equal(checkSignatures({ ...state, 'db/run.json': {} }, undefined).invalid.length, 1);
  });

  it('never throw, whatever is there in their place', () => {
    for (const state of [undefined, null, 7, 'x', [], {}]) assert.deepEqual(check(state).invalid, []);
    const text = fc.oneof(fc.string(), fc.base64String(), fc.jsonValue());
    const document = fc.record(
      { '#spec': fc.constant('pvs@2'), protected: text, signature: text },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(fc.constantFrom('typ', 'alg', 'pvs', 'x5c', 'crit', 'jwk'), fc.jsonValue());
    const fine = signed(STATE, KEY);
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), document), header, (garbage, change) => {
        assert.equal(reasons({ ...STATE, '_sigs/x.json': garbage }).length, 1);
        for (const trusted of [trust(KEY), undefined]) checkSignatures(withHeader(fine, change), trusted);
      }),
    );
  });

  it('do not end the check of a state that is nested too deep', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    assert.match(reasons({ ...signed(STATE, KEY), 'db/run.json': deep })[0] ?? '', /nested too deep/);
  });

  it('are not looked at when there are thousands', () => {
    const { '_sigs/all.json': document } = signed(STATE, KEY);
    const many = Object.fromEntries(Array.from({ length: 600 }, (_, at) => [`_sigs/${at}.json`, document]));
    assert.match(reasons({ ...STATE, ...many })[0] ?? '', /one of more than 512/);
  });
});
