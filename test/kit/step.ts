// Revisions as a user brings them to a device: objects, then the state, over the control socket; and what becomes of them.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import * as z from 'zod/mini';
import { type StepProgress, stepProgress } from '../../shared/schema/steps.ts';
import { type ApiAnswer, ask, get } from './api.ts';
import { eventually } from './eventually.ts';
import { packInto } from './tree.ts';

const PATIENCE_MS = 60_000;
const stateDocument = z.record(z.string(), z.unknown());
const objectRows = z.array(z.object({ sha256: z.string() }));
export type StateDocument = z.output<typeof stateDocument>;

export function putBytes(socketPath: string, path: string, bytes: Buffer): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': bytes.length };
    const options = { socketPath, method: 'PUT', path, headers, timeout: PATIENCE_MS, agent: false };
    const outgoing = request(options, async (response) => {
      resolve({ status: response.statusCode ?? 0, body: await text(response) });
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`PUT ${path}: no answer`)));
    outgoing.on('error', reject);
    outgoing.end(bytes);
  });
}

/** Packs the folder `source` and puts its objects, then its state as locals/`name`; answers what the state was answered with. */
export async function putRevision(
  socketPath: string,
  source: string,
  name: string,
  change: (state: StateDocument) => StateDocument = (state) => state,
): Promise<ApiAnswer> {
  const storage = mkdtempSync(join(tmpdir(), 'berth-step-'));
  try {
    packInto(storage, source);
    const state = change(stateDocument.parse(JSON.parse(readFileSync(join(storage, 'trails/0/.pvr/json'), 'utf8'))));
    const present = (await get(socketPath, '/objects', objectRows)).map(({ sha256 }) => sha256);
    for (const [path, digest] of Object.entries(state)) {
      if (path === '#spec' || typeof digest !== 'string' || present.includes(digest)) continue;
      const bytes = readFileSync(join(storage, 'objects', digest));
      const { status, body } = await putBytes(socketPath, `/objects/${digest}`, bytes);
      assert.equal(status, 200, `PUT object of ${path}: ${body}`);
    }
    return await putBytes(socketPath, `/steps/locals/${name}`, Buffer.from(JSON.stringify(state)));
  } finally {
    rmSync(storage, { recursive: true, force: true });
  }
}

export async function installRevision(...args: Parameters<typeof putRevision>): Promise<void> {
  const { status, body } = await putRevision(...args);
  assert.equal(status, 200, body);
}

export async function command(socketPath: string, op: string, payload = ''): Promise<void> {
  const { status, body } = await ask(socketPath, 'POST', '/commands', { op, payload });
  assert.equal(status, 200, `${op}: ${body}`);
}

/** Resolves with the progress once it has this status; a socket that is away for a while is waited for. */
export function progressReaches(socketPath: string, revision: string, status: string): Promise<StepProgress> {
  let last = 'nothing was heard of it';
  return eventually(`${revision} ${status}`, PATIENCE_MS, async () => {
    const progress = await get(socketPath, `/steps/${revision}/progress`, stepProgress).catch(() => undefined);
    last = JSON.stringify(progress) ?? last;
    return progress?.status === status ? progress : undefined;
  }).catch((error: unknown) => assert.fail(`${error}; last: ${last}`));
}

export interface SourceContainer {
  readonly args?: object;
  /** The script that is its process 1. */
  readonly init?: string;
}

export const STAYS = "trap 'exit 0' TERM PWR\n/bin/busybox sleep 100000 &\nwait $!\n";

/** A source folder for berth pack, of containers with busybox and nothing else. `folder` is emptied. */
export function writeSource(
  folder: string,
  containers: Readonly<Record<string, SourceContainer>>,
  device: object = {},
): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'device.json'), JSON.stringify(device));
  for (const [name, { args = {}, init = STAYS }] of Object.entries(containers)) {
    const path = join(folder, 'containers', name);
    mkdirSync(path, { recursive: true });
    const defaults = {
      PV_GROUP: 'app',
      PV_RESTART_POLICY: 'container',
      PV_AUTO_RECOVERY: { policy: 'no' },
      PV_LXC_EXTRA_CONF: 'lxc.signal.halt = SIGTERM',
    };
    writeFileSync(join(path, 'args.json'), JSON.stringify({ ...defaults, ...args }));
    writeFileSync(join(path, 'init'), `#!/bin/sh\n${init}`);
    chmodSync(join(path, 'init'), 0o755);
    writeFileSync(join(path, 'rootfs.list'), ROOTFS_LIST);
  }
  return folder;
}

const ROOTFS_LIST = readFileSync(
  join(import.meta.dirname, '../examples/01-basic/containers/net-client/rootfs.list'),
  'utf8',
);
