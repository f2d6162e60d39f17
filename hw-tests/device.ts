// What hardware tests ask of Berth on a target, over its control socket, with patience for machines that are slow.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod/mini';
import type { ContainerRow } from '../shared/schema/api.ts';
import { type StepProgress, stepProgress } from '../shared/schema/steps.ts';
import { type ApiAnswer, containerRows, healthAnswer, leaseRows, serviceRows } from '../test/kit/api.ts';
import { type SourceContainer, type StateDocument, writeSource } from '../test/kit/step.ts';
import { packInto } from '../test/kit/tree.ts';
import { output, type Target } from './target.ts';

/** An emulated machine on a busy one takes minutes for what a board does in seconds. */
export const PATIENCE_MS = 400_000;
const ANSWER_MS = 90_000;
const LOOK_AGAIN_MS = 500;
const LOOK_AGAIN_AT_LAST_MS = 5_000;
const LOOKS_REST = 3;

const stateDocument = z.record(z.string(), z.unknown());
const objectRows = z.array(z.object({ sha256: z.string() }));

export type Lease = z.output<typeof leaseRows>[number];

/**
 * Packs containers of busybox, and `files` of the source folder, into a storage folder of revision 0; the caller removes it. The busybox is
 * the one that BERTH_HW_BUSYBOX names, or this machine's.
 */
export function packed(
  containers: Readonly<Record<string, SourceContainer>>,
  device: object,
  change: (state: StateDocument) => void = () => undefined,
  files: Readonly<Record<string, string>> = {},
): string {
  const storage = mkdtempSync(join(tmpdir(), 'berth-hw-storage-'));
  const source = mkdtempSync(join(tmpdir(), 'berth-hw-source-'));
  try {
    chmodSync(storage, 0o755);
    writeSource(source, containers, device);
    for (const name of Object.keys(containers)) takeBusybox(join(source, 'containers', name, 'rootfs.list'));
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(source, path)), { recursive: true });
      writeFileSync(join(source, path), content);
    }
    packInto(storage, source);
    const path = join(storage, 'trails/0/.pvr/json');
    const state = stateDocument.parse(JSON.parse(readFileSync(path, 'utf8')));
    change(state);
    rmSync(path);
    writeFileSync(path, JSON.stringify(state));
    return storage;
  } finally {
    rmSync(source, { recursive: true, force: true });
  }
}

function takeBusybox(list: string): void {
  const { BERTH_HW_BUSYBOX: busybox } = process.env;
  if (busybox === undefined) return;
  const text = readFileSync(list, 'utf8');
  writeFileSync(list, text.replace(/^(file \/bin\/busybox) \S+/m, `$1 ${busybox}`));
}

export function ask({ socket }: Target, method: string, path: string, body?: string | Buffer): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const outgoing = request({ socketPath: socket, method, path, headers, agent: false }, (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject);
    });
    outgoing.setTimeout(ANSWER_MS, () =>
      outgoing.destroy(new Error(`${method} ${path}: no answer in ${ANSWER_MS} ms`)),
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export async function get<T extends z.ZodMiniType>(target: Target, path: string, schema: T): Promise<z.output<T>> {
  const { status, body } = await ask(target, 'GET', path);
  if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${body}`);
  return schema.parse(JSON.parse(body));
}

interface Patience {
  /** What was seen before, for the failure. */
  readonly tell?: (() => string) | undefined;
  /** Gives up at once when it is aborted. */
  readonly near?: AbortSignal | undefined;
}

/** Resolves with the first value that is not undefined. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  { tell = () => '', near }: Patience = {},
): Promise<T> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    near?.throwIfAborted();
    const start = performance.now();
    let problem = '';
    const value = await look().catch((error: unknown) => {
      problem = String(error);
      return undefined;
    });
    near?.throwIfAborted();
    if (value !== undefined) return value;
    if (performance.now() > end) assert.fail(`${what}: not within ${PATIENCE_MS} ms; ${problem} ${tell()}`);
    // Looking is work for the device as well: most of its time is for what it is asked about.
    const rest = Math.min(LOOK_AGAIN_AT_LAST_MS, Math.max(LOOK_AGAIN_MS, LOOKS_REST * (performance.now() - start)));
    await delay(rest, undefined, near === undefined ? {} : { signal: near });
  }
}

const healthOf = async (target: Target): Promise<z.output<typeof healthAnswer>> =>
  healthAnswer.parse(JSON.parse((await ask(target, 'GET', '/health')).body));

/** When `/health` is ok, whatever runs: the revision of a fresh installation has no container. */
export async function healthy(target: Target): Promise<void> {
  let seen = 'nothing was answered';
  await until(
    `${target.name} is healthy`,
    async () => {
      const health = await healthOf(target);
      seen = JSON.stringify(health);
      return health.status === 'ok' ? true : undefined;
    },
    { tell: () => seen },
  );
}

/** When every container has met its goal and `/health` is ok. */
export async function settled(target: Target): Promise<readonly ContainerRow[]> {
  let seen = 'nothing was answered';
  return await until(
    `${target.name} is well`,
    async () => {
      const health = await healthOf(target);
      seen = JSON.stringify(health);
      if (health.status !== 'ok') return;
      const rows = await get(target, '/containers', containerRows);
      seen = `${JSON.stringify(health)} ${rows.map(({ name, status }) => `${name} ${status}`).join(', ')}`;
      const met =
        rows.length > 0 && rows.every(({ status, status_goal }) => status === status_goal || status === 'READY');
      return met ? rows : undefined;
    },
    { tell: () => `${seen}\n${target.console().slice(-3000)}` },
  );
}

/** Its pid there, by that of a service: inits keep it in places of their own, or nowhere. */
export async function supervisorOf(target: Target): Promise<string> {
  const services = await get(target, '/services', serviceRows);
  const pid = services.find((service) => service.pid > 0)?.pid;
  const status = await output(target, ['cat', `/proc/${pid}/status`]);
  const parent = /^PPid:\s+(\d+)$/m.exec(status)?.[1];
  // A service that has outlived its supervisor for a moment is the init's child.
  if (parent === undefined || parent === '1') throw new Error(`no supervisor of process ${pid}: ${status}`);
  return parent;
}

/** The init starts it again, as after a crash: what ends in order is not started again by all of them. Resolves when another one answers. */
export async function killSupervisor(target: Target): Promise<void> {
  const killed = await supervisorOf(target);
  await output(target, ['kill', '-KILL', killed]);
  await until('another supervisor', async () => ((await supervisorOf(target)) === killed ? undefined : true));
}

const leaseStates = z.array(z.object({ state: z.string() }));

/** Those that these containers hold. The list has released ones too, and on a board those of containers that it had before. */
export async function leases(target: Target, containers: readonly string[]): Promise<readonly Lease[]> {
  const { status, body } = await ask(target, 'GET', '/ipam/leases');
  assert.equal(status, 200, body);
  const document: unknown = JSON.parse(body);
  const states = leaseStates.parse(document);
  return leaseRows
    .parse(document)
    .filter(({ owner }, at) => containers.includes(owner) && states[at]?.state !== 'released');
}

export async function command(target: Target, op: string, payload = ''): Promise<void> {
  const { status, body } = await ask(target, 'POST', '/commands', JSON.stringify({ op, payload }));
  assert.equal(status, 200, `${op} ${payload}: ${body}`);
}

/** Brings the revision of a packed storage folder to the device as locals/`name`. */
export async function install(target: Target, storage: string, name: string): Promise<void> {
  const state = stateDocument.parse(JSON.parse(readFileSync(join(storage, 'trails/0/.pvr/json'), 'utf8')));
  const present = (await get(target, '/objects', objectRows)).map(({ sha256 }) => sha256);
  for (const [path, digest] of Object.entries(state)) {
    if (path === '#spec' || typeof digest !== 'string' || present.includes(digest)) continue;
    const put = await ask(target, 'PUT', `/objects/${digest}`, readFileSync(join(storage, 'objects', digest)));
    assert.equal(put.status, 200, `PUT object of ${path}: ${put.body}`);
  }
  const { status, body } = await ask(target, 'PUT', `/steps/locals/${name}`, JSON.stringify(state));
  assert.equal(status, 200, body);
}

/** Nobody else has them, nor has an earlier run: a board keeps the revisions that it was brought. */
const ownPrefix = `hw-${Date.now()}`;
export const stepName = (name: string): string => `${ownPrefix}-${name}`;

export const progressOf = (target: Target, revision: string): Promise<StepProgress> =>
  get(target, `/steps/${revision}/progress`, stepProgress);

/** A socket that is away for a while is waited for. */
export async function progressReaches(
  target: Target,
  revision: string,
  ...statuses: readonly string[]
): Promise<StepProgress> {
  let last = 'nothing was heard of it';
  return await until(
    `${revision} is ${statuses.join(' or ')}`,
    async () => {
      const progress = await progressOf(target, revision);
      last = JSON.stringify(progress);
      return statuses.includes(progress.status) ? progress : undefined;
    },
    { tell: () => last },
  );
}
