// Signatures where revisions come in and where they are run: modes, the trust store's files, and what is said of a refused revision.
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type Checksums, createChecksums } from '../../services/state-svc/checksum-pool.ts';
import { systemClock } from '../../services/state-svc/clock.ts';
import { openDesk } from '../../services/state-svc/open-desk.ts';
import { openRevisionStore, type RevisionStore } from '../../services/state-svc/revision-store.ts';
import { createSignatureCheck, type SignatureMode } from '../../services/state-svc/signature-check.ts';
import { progressAt } from '../../services/state-svc/step-progress.ts';
import { openStepStore } from '../../services/state-svc/step-store.ts';
import { openTrustStore } from '../../services/state-svc/trust-store.ts';
import { installRevision } from '../../services/state-svc/update-install.ts';
import { readCandidate, verifyCandidate } from '../../services/state-svc/verify-revision.ts';
import { createSettings } from '../../shared/config/settings.ts';
import { type Logger, silentLogger } from '../../shared/log/logger.ts';
import { trustPlaces } from '../../shared/service/trust-places.ts';
import { asRun } from '../kit/as-run.ts';
import { type Authority, CA, createAuthority, type Issued, KEY_PAIRS, LEAF, signed } from '../revision/signed.ts';
import { sha256, stateOf, uploadId, writeRevision } from './device.ts';
import { APP } from './kit.ts';

const { privateKey: KEY } = KEY_PAIRS.ES256;
const PUBLIC = createPublicKey(KEY).export({ type: 'spki', format: 'pem' });
const DAY_MS = 86_400_000;
const { document, objects } = stateOf({ web: APP }, {});
const STATE: Readonly<Record<string, unknown>> = { ...document };

let folder: string;
let logged: string[];
let checksums: Checksums;
before(() => {
  checksums = createChecksums(asRun('services/state-svc/checksum-worker.ts'));
});
after(() => checksums.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-sigs-'));
  chmodSync(folder, 0o755);
  logged = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const log: Logger = { ...silentLogger, warn: (line) => logged.push(line) };
const trustFile = (name: string, text: string | Buffer): void => {
  const path = join(folder, 'etc/pantavisor/pvs/trust', name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
};

interface How {
  readonly mode?: SignatureMode;
  readonly store?: string;
  readonly nowMs?: number;
  readonly rehash?: boolean;
}

function open({ mode = 'strict', store, nowMs = Date.now(), rehash = true }: How = {}): RevisionStore {
  const { settings } = createSettings([
    { key: 'PV_SYSTEM_ETCDIR', value: join(folder, 'etc'), origin: 'env' },
    ...(store === undefined ? [] : [{ key: 'PV_SECUREBOOT_TRUSTSTORE', value: store, origin: 'env' } as const]),
  ]);
  const trust = openTrustStore(trustPlaces(settings));
  const signatures = createSignatureCheck({ mode, trust, log, nowMs: () => nowMs });
  return openRevisionStore(join(folder, 'storage'), checksums, { signatures, rehash });
}

async function outcome(document: Readonly<Record<string, unknown>>, how: How = {}) {
  await writeRevision(join(folder, 'storage'), '0', { document, objects });
  const installed = await installRevision(open(how), '0');
  return installed.ok ? 'ok' : progressAt(installed.stage)['status-msg'];
}

const FAILED = 'Signature validation failed';
const OPEN = 'State not fully covered by signatures';
const PART = { include: ['web/**'], exclude: [] };

describe('an update to a state', () => {
  const whole = signed(STATE, KEY);
  const states: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    'signed as a whole': whole,
    'signed in part': signed(STATE, KEY, PART),
    'not signed': STATE,
    'changed after it was signed': { ...whole, 'web/run.json': { ...Object(STATE['web/run.json']), roles: ['mgmt'] } },
    'signed by a stranger': signed(STATE, KEY_PAIRS.RS256.privateKey),
    'with garbage for a signature': { ...whole, '_sigs/x.json': 'garbage' },
  };
  const expected: Readonly<Record<SignatureMode, readonly string[]>> = {
    disabled: ['ok', 'ok', 'ok', 'ok', 'ok', 'State JSON has bad format'],
    audit: ['ok', 'ok', 'ok', 'ok', 'ok', 'State JSON has bad format'],
    lenient: ['ok', 'ok', 'ok', FAILED, FAILED, FAILED],
    strict: ['ok', OPEN, OPEN, FAILED, FAILED, FAILED],
  };
  for (const mode of ['disabled', 'audit', 'lenient', 'strict'] as const) {
    for (const [at, [what, state]] of Object.entries(states).entries()) {
      it(`${what} ends with ${expected[mode][at]} in mode ${mode}`, async () => {
        trustFile('pub.pem', PUBLIC);
        assert.equal(await outcome(state, { mode }), expected[mode][at]);
        const isTold = mode === 'audit' && what !== 'signed as a whole';
        assert.equal(logged.length > 0, isTold, logged.join('\n'));
      });
    }
  }

  it('says first what is wrong with its signatures, and all that is open', async () => {
    trustFile('pub.pem', PUBLIC);
    await writeRevision(join(folder, 'storage'), '0', { document: signed(STATE, KEY, PART), objects: [] });
    const store = open();
    const problems = await verifyCandidate(store, await readCandidate(store, '0'));
    assert.deepEqual(
      problems.map(({ path, code }) => `${code} ${path}`),
      [
        'NOT_COVERED #spec',
        'NOT_COVERED device.json',
        'OBJECT_MISSING web/lxc.container.conf',
        'OBJECT_MISSING web/root.squashfs',
      ],
    );
  });

  it('with another object under a signed name is refused for the object', async () => {
    trustFile('pub.pem', PUBLIC);
    await writeRevision(join(folder, 'storage'), '0', { document: whole, objects });
    writeFileSync(join(folder, 'storage/objects', sha256('root of web')), 'another root');
    const installed = await installRevision(open(), '0');
    assert.equal(installed.ok ? 'ok' : installed.problems[0]?.code, 'OBJECT_CORRUPT');
  });

  it('that comes to the desk is refused there, and nothing of it kept', async () => {
    trustFile('pub.pem', PUBLIC);
    const storage = join(folder, 'storage');
    await writeRevision(storage, '0', { document: STATE, objects });
    const steps = openStepStore(storage, log);
    await steps.open();
    const desk = await openDesk({
      storage,
      store: open(),
      steps,
      clock: systemClock,
      log,
      reservedPercent: () => 0,
      makeRoom: async () => undefined,
      usedFor: () => undefined,
    });
    const put = async (name: string, document: object): Promise<string> => {
      const id = uploadId();
      const began = await desk.uploads.begin({ id }, new AbortController().signal);
      assert.ok('path' in began);
      writeFileSync(began.path, JSON.stringify(document));
      const failure = await desk.put(name, id);
      return failure?.code === 'STATE_INVALID' ? failure.text : (failure?.code ?? 'ok');
    };
    assert.equal(await put('locals/good', whole), 'ok');
    assert.match(await put('locals/bad', { ...whole, 'web/more': 'a'.repeat(64) }), /^_sigs\/all\.json: does not hold/);
    assert.equal(await steps.has('locals/bad'), false);
  });
});

describe('the trust store', () => {
  let authority: Authority;
  let [root, leaf]: readonly (Issued | undefined)[] = [];
  before(async () => {
    authority = createAuthority();
    root = await authority.issue('root', CA);
    leaf = await authority.issue('leaf', LEAF, 'root');
  });
  after(() => authority.remove());
  const rootPem = (): string => root?.pem ?? '';
  const chained = () => signed(STATE, leaf?.key ?? KEY, { certificates: [leaf?.der ?? ''] });

  it('is the file ca-certificates.crt, among others of a bundle', async () => {
    trustFile('ca-certificates.crt', `# authorities\n${rootPem().replace(/\n\w{9}/, '\n!')}\n\n${rootPem()}`);
    assert.equal(await outcome(chained()), 'ok');
    assert.match(logged.join('\n'), /ca-certificates\.crt has 1 parts that cannot be read/);
  });

  const places: readonly (readonly [string, string, () => string])[] = [
    ['a file of another name', 'mine.crt', () => 'mine'],
    ['a folder', 'mine/first.pem', () => 'mine'],
    ['a path of a file', 'x.txt', () => join(folder, 'etc/pantavisor/pvs/trust/x.txt')],
    ['a path of a folder', 'mine/first.crt', () => join(folder, 'etc/pantavisor/pvs/trust/mine')],
  ];
  for (const [what, name, store] of places) {
    it(`may be ${what}`, async () => {
      trustFile(name, rootPem());
      assert.equal(await outcome(chained(), { store: store() }), 'ok');
      assert.equal(await outcome(chained()), FAILED);
    });
  }

  it('is read anew for every revision', async () => {
    trustFile('ca-certificates.crt', rootPem());
    const store = open();
    await writeRevision(join(folder, 'storage'), '0', { document: chained(), objects });
    assert.ok((await installRevision(store, '0')).ok);
    rmSync(join(folder, 'etc/pantavisor/pvs/trust/ca-certificates.crt'));
    assert.equal((await installRevision(store, '0')).ok, false);
  });

  const useless: readonly (readonly [string, () => void, RegExp])[] = [
    ['garbage', () => trustFile('ca-certificates.crt', 'garbage'), /holds no certificate and no public key/],
    ['far too large', () => trustFile('ca-certificates.crt', Buffer.alloc(2_000_000)), /longer than 1048576 bytes/],
    ['a folder as pub.pem', () => trustFile('pub.pem/x', ''), /pub\.pem cannot be read/],
    [
      'a link to itself',
      () => {
        trustFile('x', '');
        symlinkSync('pub.pem', join(folder, 'etc/pantavisor/pvs/trust/pub.pem'));
      },
      /pub\.pem cannot be read/,
    ],
  ];
  for (const [what, make, message] of useless) {
    it(`that is ${what} trusts nobody, and says why`, async () => {
      make();
      assert.equal(await outcome(chained()), FAILED);
      assert.match(logged.join('\n'), message);
    });
  }

  it('that is not there trusts nobody, and the signature says so', async () => {
    assert.equal(await outcome(chained()), FAILED);
    assert.equal(await outcome(signed(STATE, KEY)), FAILED);
  });

  it('judges the day for a new revision, and not for one that was taken before', async () => {
    trustFile('ca-certificates.crt', rootPem());
    for (const nowMs of [0, Date.now() + 3 * DAY_MS]) {
      assert.equal(await outcome(chained(), { nowMs }), FAILED);
      const store = open({ nowMs });
      assert.deepEqual(await verifyCandidate(store, await readCandidate(store, '0')), []);
    }
  });
});

describe('objects of a revision', () => {
  it('are not hashed again at a start when that is switched off, but for a new one they are', async () => {
    await writeRevision(join(folder, 'storage'), '0', { document: STATE, objects });
    writeFileSync(join(folder, 'storage/objects', sha256('root of web')), 'another root');
    const codes = async (rehash: boolean, occasion: 'new' | 'known') => {
      const store = open({ mode: 'disabled', rehash });
      return (await verifyCandidate(store, await readCandidate(store, '0'), occasion)).map(({ code }) => code);
    };
    assert.deepEqual(await codes(true, 'known'), ['OBJECT_CORRUPT']);
    assert.deepEqual(await codes(false, 'known'), []);
    assert.deepEqual(await codes(false, 'new'), ['OBJECT_CORRUPT']);
    rmSync(join(folder, 'storage/objects', sha256('root of web')));
    assert.deepEqual(await codes(false, 'known'), ['CHECKOUT_FAILED']);
  });
});
