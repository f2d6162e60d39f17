// Signing with berth pack, and what berth check says of signatures.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Authority, createAuthority, type Issued, LEAF } from '../revision/signed.ts';
import { berth, createScratch, type Scratch, soundSource } from './program.ts';

let scratch: Scratch;
let authority: Authority;
let issued: Issued;
before(async () => {
  scratch = createScratch();
  authority = createAuthority();
  issued = await authority.issue('signer', LEAF);
});
after(() => {
  scratch.remove();
  authority.remove();
});

const keyFile = (): string => join(scratch.write('keys', { 'key.pem': String(issued.key.export(PEM)) }), 'key.pem');
const PEM = { type: 'pkcs8', format: 'pem' } as const;
const stateFile = (storage: string): string => join(storage, 'trails/0/.pvr/json');

async function packed(name: string, ...options: readonly string[]): Promise<string> {
  const storage = join(scratch.folder, name);
  const { exitCode, stderr } = await berth('pack', scratch.write('source', soundSource()), '-o', storage, ...options);
  assert.equal(exitCode, 0, stderr);
  return storage;
}

describe('berth pack --sign', () => {
  it('signs all of it, and berth check has nothing to say', async () => {
    const certificate = join(scratch.write('keys', { 'signer.crt': issued.pem }), 'signer.crt');
    for (const more of [[], ['--x5c', certificate]]) {
      const storage = await packed(`signed-${more.length}`, '--sign', keyFile(), ...more);
      const { exitCode, stdout, stderr } = await berth('check', storage);
      assert.deepEqual([exitCode, stderr], [0, '']);
      assert.match(stdout, /^ok: /);
    }
  });

  it('refuses what cannot sign, before anything is made', async () => {
    const strange = generateKeyPairSync('ed25519').privateKey.export(PEM);
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export(PEM);
    const files = { strange: String(strange), short: String(short), garbage: 'garbage', 'other.crt': issued.pem };
    const at = (name: string): string => join(scratch.write('useless', files), name);
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(PEM);
    writeFileSync(at('other'), other);
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [['--sign', at('strange')], /is no RSA key of 2048 bits or more/],
      [['--sign', at('short')], /is no RSA key of 2048 bits or more/],
      [['--sign', at('garbage')], /holds no private key in PEM/],
      [['--sign', at('nowhere')], /no such file/],
      [['--x5c', at('other.crt')], /--x5c means nothing without --sign KEY/],
      [['--sign', at('other'), '--x5c', at('other.crt')], /its first certificate is not that of the key/],
      [['--sign', at('other'), '--x5c', at('garbage')], /holds no certificate in PEM/],
    ];
    for (const [options, message] of wrong) {
      const out = join(scratch.folder, 'never');
      const { exitCode, stderr } = await berth('pack', scratch.write('source', soundSource()), '-o', out, ...options);
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, message);
    }
  });
});

describe('berth check of a signed state', () => {
  it('warns of what was changed after it was signed, and of what is not covered', async () => {
    const storage = await packed('changed', '--sign', keyFile());
    const state = JSON.parse(readFileSync(stateFile(storage), 'utf8'));
    writeFileSync(stateFile(storage), JSON.stringify({ ...state, 'one/src.json': {} }));
    const { exitCode, stderr } = await berth('check', storage);
    assert.equal(exitCode, 0);
    assert.match(stderr, /^warning: _sigs\/berth\.json: does not hold: what it covers was changed/m);
    const { '_sigs/berth.json': signature } = state;
    writeFileSync(
      stateFile(storage),
      JSON.stringify({ ...state, '_sigs/berth.json': { ...signature, signature: '?' } }),
    );
    assert.match((await berth('check', storage)).stderr, /has no protected and signature in base64url/);
  });

  it('says nothing of signatures where there are none', async () => {
    assert.equal((await berth('check', await packed('unsigned'))).stderr, '');
  });
});
