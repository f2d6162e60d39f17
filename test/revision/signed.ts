// States to sign, keys of every kind, and an authority of one's own made by openssl.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../shared/exec/run-command.ts';
import { type Signing, signState } from '../../shared/revision/sign-state.ts';

export const STATE: Readonly<Record<string, unknown>> = {
  '#spec': 'pantavisor-service-system@1',
  'device.json': { network: { pools: {} } },
  'web/run.json': { name: 'web', auto_recovery: { backoff_factor: 1.5 } },
  'web/root.squashfs': 'a'.repeat(64),
  'web/src.json': { from: 'somewhere' },
  '_config/web/etc/motd': 'b'.repeat(64),
  'db/run.json': { name: 'db' },
};
export const WHOLE = { include: ['**'], exclude: ['_sigs/**'] };

export const KEY_PAIRS = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
} as const;

export function signed(
  state: Readonly<Record<string, unknown>>,
  key: KeyObject,
  how: Partial<Signing> = {},
): Readonly<Record<string, unknown>> {
  const made = signState(state, { ...WHOLE, name: 'all', key, ...how });
  if (made === undefined) throw new Error('the key signs nothing');
  return made;
}

export interface Issued {
  readonly pem: string;
  readonly key: KeyObject;
  /** As x5c has it. */
  readonly der: string;
}

export interface Authority {
  /** By itself when nobody issues it. `extensions`: lines of openssl's x509v3_config(5). */
  issue(name: string, extensions: readonly string[], issuer?: string): Promise<Issued>;
  remove(): void;
}

export const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
export const LEAF = ['basicConstraints=CA:FALSE', 'extendedKeyUsage=codeSigning'];

/** Certificates of it are valid for a day. */
export function createAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'berth-ca-'));
  const file = (name: string): string => join(folder, name);
  const openssl = async (...args: string[]): Promise<void> => {
    const { exitCode, stderr } = await runCommand('openssl', args, { timeoutMs: 20_000 });
    if (exitCode !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  };
  return {
    async issue(name, extensions, issuer) {
      const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      writeFileSync(file(`${name}.key`), key.export({ type: 'pkcs8', format: 'pem' }));
      writeFileSync(file(`${name}.ext`), `${extensions.join('\n')}\n`);
      const request = ['-new', '-key', file(`${name}.key`), '-subj', `/CN=${name}`, '-out', file(`${name}.csr`)];
      await openssl('req', ...request);
      const by =
        issuer === undefined
          ? ['-signkey', file(`${name}.key`)]
          : ['-CA', file(`${issuer}.crt`), '-CAkey', file(`${issuer}.key`), '-CAcreateserial'];
      const out = ['-days', '1', '-extfile', file(`${name}.ext`), '-out', file(`${name}.crt`)];
      await openssl('x509', '-req', '-in', file(`${name}.csr`), ...by, ...out);
      const pem = readFileSync(file(`${name}.crt`), 'utf8');
      return { pem, key: createPrivateKey(readFileSync(file(`${name}.key`))), der: derOf(pem) };
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

function derOf(pem: string): string {
  return pem.replace(/-----[^-]+-----|\s/g, '');
}
