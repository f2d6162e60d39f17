// What a service that was taken over can do: each of the six with other code, as its own process, behind the real broker and with the
// privileges that the real supervisor gives it, on a device that the real ones have set up and on which a container runs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { build } from 'esbuild';
import * as z from 'zod/mini';
import { bundleOptions, ROOT } from '../../scripts/bundles.ts';
import { ALL_CONTRACTS, SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { ask } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { writeSource } from '../kit/step.ts';
import { openTree, PATIENCE_MS, PROGRAM, packExample, type Tree } from '../kit/tree.ts';
import { KNOWN_CONTAINER, REPORT_SOCKET, SUPERVISOR_LOG_SOCKET } from './taken-over.ts';

const report = z.strictObject({
  service: z.string(),
  requests: z.record(z.string(), z.string()),
  tried: z.record(z.string(), z.string()),
});
type Report = z.output<typeof report>;

/** What the README says, of what was tried; nothing else may have been done. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  'ctl-svc': ['read a revision', 'read objects', 'write uploads', 'connect to the network'],
  'state-svc': [
    'read a revision',
    'write a revision',
    'write what boots',
    'read objects',
    'write objects',
    'write uploads',
    'read user-meta',
    'write user-meta',
    'write what containers see of it',
    'connect to the network',
    'start a thread',
  ],
  'log-svc': [
    'read logs',
    'write logs',
    'read a revision',
    'read objects',
    'read files of containers',
    'read /etc/passwd',
    'connect to the network',
    'start a thread',
    'load native code',
  ],
  'ipam-svc': ['read leases', 'write leases', 'connect to the network'],
  'net-svc': [
    'make a link',
    'enter a container’s network',
    'put a namespace’s file',
    'connect to the network',
    'read a revision',
    'read objects',
    'read /etc/passwd',
    'start a program',
    'start a thread',
    'load native code',
  ],
};
/** Of lxc-svc. */
const NOT_EVEN_ROOT = ['run a text as code'];

describe('hostile.taken-over', () => {
  let tree: Tree | undefined;
  let program = '';
  const reports = new Map<string, Report>();
  let supervisorLog = '';
  const reporting = createServer((socket) => {
    void text(socket).then((words) => {
      const heard = report.parse(JSON.parse(words));
      reports.set(heard.service, heard);
    });
  });
  const logging = createServer((socket) => {
    socket.on('data', (chunk) => {
      supervisorLog += chunk.toString();
    });
  });

  before(async () => {
    program = mkdtempSync(join(tmpdir(), 'berth-program-'));
    cpSync(PROGRAM, program, { recursive: true });
    chmodSync(program, 0o755);
    const opened = await openTree(packed(), program);
    tree = opened;
    await setUp(opened);
    await replaceServices(program);
    await listenToAnybody(reporting, join(dirname(opened.rundir), REPORT_SOCKET));
    await listenToAnybody(logging, join(dirname(opened.rundir), SUPERVISOR_LOG_SOCKET));
    opened.start();
    await eventually('what they reached', PATIENCE_MS, () => reports.size === SERVICE_CONTRACTS.length).catch(
      (error: unknown) => assert.fail(`${error}: heard of ${[...reports.keys()]}; ${opened.output()}`),
    );
  });
  after(async () => {
    for (const server of [reporting, logging]) server.close();
    await tree?.close();
    rmSync(program, { recursive: true });
  });
  const reportOf = (service: string): Report => reports.get(service) ?? assert.fail(`nothing was heard of ${service}`);

  for (const { service } of SERVICE_CONTRACTS) {
    it(`is DENIED every request of every contract but those that name ${service} as a caller`, () => {
      const { requests } = reportOf(service);
      const expected = ALL_CONTRACTS.flatMap((contract) =>
        Object.entries(contract.requests).map(
          ([name, { callers }]) => [`${contract.service}.${name}`, callers.includes(service)] as const,
        ),
      );
      assert.deepEqual(Object.keys(requests).sort(), expected.map(([name]) => name).sort());
      const denied = Object.entries(requests).flatMap(([name, outcome]) => (outcome === 'DENIED' ? [name] : []));
      const mustBe = expected.flatMap(([name, mayCall]) => (mayCall ? [] : [name]));
      assert.deepEqual(denied.sort(), mustBe.sort());
      assert.ok(denied.length > 20, `${denied.length} denied`);
      // What it may ask is parsed before it is looked at.
      for (const [name, outcome] of Object.entries(requests)) assert.match(outcome, /^(DENIED|BAD_PARAMS)$/, name);
    });

    it(`is heard by nobody when ${service} says what another service says`, async () => {
      for (const contract of ALL_CONTRACTS) {
        if (contract.service === service) continue;
        for (const name of Object.keys(contract.events)) {
          const line = `denied: ${service} may not publish ${contract.service}.${name}`;
          await eventually(line, 20_000, () => supervisorLog.includes(line));
        }
      }
    });

    it(`does as ${service} what the README says that it can, and nothing else`, () => {
      const { tried } = reportOf(service);
      const done = Object.entries(tried).flatMap(([what, outcome]) => (outcome === 'done' ? [what] : []));
      const may = MAY[service] ?? Object.keys(tried).filter((what) => !NOT_EVEN_ROOT.includes(what));
      assert.deepEqual(done.sort(), [...may].sort(), JSON.stringify(tried));
    });
  }
});

async function listenToAnybody(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, 'listening');
  chmodSync(path, 0o666);
}

function packed(): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-taken-over-'));
  const pool = { type: 'bridge', bridge: 'pvbr0', subnet: '10.0.5.0/24', gateway: '10.0.5.1', nat: true };
  const containers = { [KNOWN_CONTAINER]: { args: { PV_ROLES: ['mgmt'], PV_NETWORK_POOL: 'internal' } } };
  try {
    return packExample(writeSource(join(folder, 'source'), containers, { network: { pools: { internal: pool } } }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** With the real services: leases, logs, metadata and a namespace are there, and stay with the container. */
async function setUp(tree: Tree): Promise<void> {
  tree.start();
  await tree.up();
  assert.equal((await ask(tree.socket, 'PUT', '/user-meta/secret', 'a word')).status, 200);
  assert.equal(await tree.endSupervisor('SIGTERM'), 0);
}

/** Of the same contracts: otherwise the broker would not talk to them at all. */
async function replaceServices(program: string): Promise<void> {
  const entry = join(ROOT, 'test/hostile/patched-service.ts');
  await build({
    ...(await bundleOptions()),
    entryPoints: Object.fromEntries(SERVICE_CONTRACTS.map(({ service }) => [service, entry])),
    outdir: program,
  });
  for (const { service } of SERVICE_CONTRACTS) chmodSync(join(program, `${service}.js`), 0o644);
}
