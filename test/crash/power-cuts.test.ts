// The power goes at each state that the progress of an update has, on a whole tree: what comes up is the revision that was committed,
// or the one that is being tried, and never neither. Scripts of hooks, and of LXC, hold the update at the state that is meant.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { stepProgress } from '../../shared/schema/steps.ts';
import { containerRows, get } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { type HookFolder, hookFolder } from '../kit/hooks.ts';
import { command, progressReaches, putBytes, type SourceContainer, STAYS, writeSource } from '../kit/step.ts';
import { openTree, PATIENCE_MS, packExample, packInto, type Tree } from '../kit/tree.ts';

const OLD = `# old\n${STAYS}`;
const NEXT = `# next\n${STAYS}`;
const LASTS = '600';
const QUICK = '1';

let tree: Tree;
let hooks: HookFolder;
let folder = '';
/** The states of a revision that changes an app, and of one that changes the system. */
const states = { live: '', reboot: '' };

const held = () => existsSync(join(hooks.root, 'held'));
/** What stops the update, from now on: an event of hooks, or `stop` for the end of a container. */
const hold = (what: string) => writeFileSync(join(hooks.root, 'hold'), what);
const options = (commitDelay: string) => [
  '--set',
  `PV_UPDATER_COMMIT_DELAY=${commitDelay}`,
  '--set',
  'BERTH_HOOK_TIMEOUT=10min',
  ...hooks.options,
];

async function start(commitDelay: string): Promise<void> {
  tree.start(options(commitDelay));
  await tree.up();
}

/** And on again; nothing is held any more. */
async function cutPower(commitDelay = LASTS): Promise<void> {
  await tree.sandbox.close();
  hold('nothing');
  rmSync(join(hooks.root, 'held'), { force: true });
  tree = await openTree(tree.storage);
  await start(commitDelay);
}

async function put(kind: keyof typeof states, name: string): Promise<string> {
  const answer = await putBytes(tree.socket, `/steps/locals/${name}`, Buffer.from(states[kind]));
  assert.equal(answer.status, 200, answer.body);
  return `locals/${name}`;
}

async function progressIs(revision: string, message: string): Promise<void> {
  let last: unknown;
  await eventually(`${revision}: ${message}`, PATIENCE_MS, async () => {
    last = await get(tree.socket, `/steps/${revision}/progress`, stepProgress).catch(String);
    return typeof last === 'object' && last !== null && JSON.stringify(last).includes(`"${message}"`);
  }).catch((error: unknown) => assert.fail(`${error}; last: ${JSON.stringify(last)}`));
}

/** Runs it until it is held in the state. */
async function runUntil(revision: string, message: string): Promise<void> {
  await command(tree.socket, 'LOCAL_RUN', revision);
  await eventually('the update is held', PATIENCE_MS, held);
  await progressIs(revision, message);
}

/** Who runs, by what process 1 of each container says. */
async function inits(): Promise<Readonly<Record<string, string>>> {
  const rows = await get(tree.socket, '/containers', containerRows);
  const words = rows.map(({ name, pid }) => {
    const { stdout } = tree.inside(['cat', `/proc/${pid}/root/init`]);
    return [name, /^# (\w+)$/m.exec(stdout)?.[1] ?? ''] as const;
  });
  return Object.fromEntries(words);
}

const COMMITTED = { app: 'old', base: 'old' };
const TRIED_LIVE = { app: 'next', base: 'old' };
const TRIED_BY_REBOOT = { app: 'old', base: 'next' };
const bootState = () => JSON.parse(readFileSync(join(tree.storage, 'boot/current.json'), 'utf8'));

async function wentBack(revision: string): Promise<void> {
  assert.deepEqual(await inits(), COMMITTED);
  await progressIs(revision, 'Unexpected rollback');
  const { revision: done, trying, updated } = bootState();
  assert.deepEqual([done, trying, updated], ['0', undefined, undefined]);
}

const containers = (app: string, base: string): Readonly<Record<string, SourceContainer>> => {
  const extra = `lxc.signal.halt = SIGTERM\nlxc.hook.post-stop = ${join(hooks.root, 'post-stop')}`;
  return {
    app: { init: app, args: { PV_LXC_EXTRA_CONF: extra } },
    base: { init: base, args: { PV_GROUP: 'platform', PV_RESTART_POLICY: 'system', PV_LXC_EXTRA_CONF: extra } },
  };
};

/** Packs what is to come; its objects are in the storage from the beginning. */
function prepare(storage: string, kind: keyof typeof states, app: string, base: string): void {
  packInto(storage, writeSource(join(folder, 'source'), containers(app, base)), '--revision', `locals/${kind}`);
  states[kind] = readFileSync(join(storage, `trails/locals/${kind}/.pvr/json`), 'utf8');
}

describe('a power cut at', () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-cuts-'));
    hooks = hookFolder();
    hold('nothing');
    const stay = `echo >${hooks.root}/held; exec sleep 100000`;
    hooks.write('50-hold', `if [ "$(cat ${hooks.root}/hold)" = "$PV_OP" ]; then ${stay}; fi`);
    writeFileSync(
      join(hooks.root, 'post-stop'),
      `#!/bin/sh\nif [ "$(cat ${hooks.root}/hold)" = stop ]; then ${stay}; fi\n`,
    );
    chmodSync(join(hooks.root, 'post-stop'), 0o755);
    const storage = packExample(writeSource(join(folder, 'source'), containers(OLD, OLD)));
    prepare(storage, 'live', NEXT, OLD);
    prepare(storage, 'reboot', OLD, NEXT);
    tree = await openTree(storage);
    await start(LASTS);
  });
  after(async () => {
    await tree?.close();
    hooks?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it('"NEW" and "Update installed" leaves what ran', async () => {
    const [fresh, revision] = [await put('live', 'fresh'), await put('live', 'installed')];
    hold('system-install-update');
    await runUntil(revision, 'Update installed');
    await cutPower();
    await wentBack(revision);
    await progressIs(fresh, 'Update ready to be run');
  });

  it('"Transitioning to new revision without rebooting" goes back', async () => {
    const revision = await put('live', 'transitioning');
    hold('stop');
    await runUntil(revision, 'Transitioning to new revision without rebooting');
    assert.equal(bootState().trying.revision, revision);
    await cutPower();
    await wentBack(revision);
  });

  it('"Rebooting" is the reboot, and another one at "TESTING" goes back', async () => {
    const revision = await put('reboot', 'rebooting');
    hold('stop');
    await runUntil(revision, 'Rebooting');
    await cutPower();
    assert.deepEqual(await inits(), TRIED_BY_REBOOT);
    await progressReaches(tree.socket, revision, 'TESTING');
    await cutPower();
    await wentBack(revision);
  });

  it('"Starting updated version" goes back', async () => {
    const revision = await put('reboot', 'starting');
    hold('system-start');
    await runUntil(revision, 'Starting updated version');
    await cutPower(QUICK);
    await wentBack(revision);
  });

  it('the last moment before "DONE" goes back', async () => {
    const revision = await put('reboot', 'almost');
    hold('system-boot-done');
    await runUntil(revision, 'Awaiting to set rollback point if update is stable');
    await cutPower(QUICK);
    await wentBack(revision);
  });

  it('"UPDATED" tries it once more, and at "DONE" changes nothing', async () => {
    const revision = await put('live', 'updated');
    await command(tree.socket, 'LOCAL_RUN', revision);
    await progressReaches(tree.socket, revision, 'UPDATED');
    assert.equal(bootState().revision, '0');
    await cutPower(QUICK);
    assert.deepEqual(await inits(), TRIED_LIVE);
    await progressReaches(tree.socket, revision, 'DONE');
    assert.equal(bootState().revision, revision);
    await cutPower();
    assert.deepEqual(await inits(), TRIED_LIVE);
    await progressReaches(tree.socket, revision, 'DONE');
  });

  it('any of them has been for good: nothing that failed was tried again', () => {
    const failed = ['installed', 'transitioning', 'rebooting', 'starting', 'almost'];
    assert.deepEqual(
      bootState().failed,
      failed.slice(1).map((name) => `locals/${name}`),
    );
  });
});
