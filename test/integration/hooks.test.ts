// Hooks in a whole tree: real scripts, told of a start, an update and its failure; and services that are killed while one runs.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { get, healthAnswer, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { type HookFolder, hookFolder } from '../kit/hooks.ts';
import { command, installRevision, progressReaches, STAYS, writeSource } from '../kit/step.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const SYSTEM = { args: { PV_GROUP: 'platform', PV_RESTART_POLICY: 'system' } };
const OPTIONS = ['--set', 'PV_UPDATER_COMMIT_DELAY=1', '--set', 'BERTH_HOOK_TIMEOUT=10min'];

let tree: Tree;
let hooks: HookFolder;
let folder = '';

/** Whole ones: a shell makes a file before it writes to it. */
const linesOf = (name: string): readonly string[] => {
  const path = join(hooks.root, name);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
};
const seen = () => linesOf('seen');
const log = () => tree.readLog('pantavisor/pantavisor.log');
const source = (containers: Parameters<typeof writeSource>[1]) => writeSource(join(folder, 'source'), containers);

async function kill(service: string): Promise<void> {
  const pid = (await get(tree.socket, '/services', serviceRows)).find(({ name }) => name === service)?.pid;
  assert.equal(tree.inside(['kill', '-KILL', String(pid)]).status, 0);
}

/** Answers the pid, inside, of the hook that does not end. */
async function runUntilHeld(revision: string): Promise<string> {
  writeFileSync(join(hooks.root, 'hold'), '');
  rmSync(join(hooks.root, 'held'), { force: true });
  await command(tree.socket, 'LOCAL_RUN', revision);
  const [pid = ''] = await eventually('a hook holds the update', PATIENCE_MS, () =>
    linesOf('held').length > 0 ? linesOf('held') : undefined,
  );
  rmSync(join(hooks.root, 'hold'));
  return pid;
}

const isGone = (pid: string) =>
  eventually('the hook is gone', PATIENCE_MS, () => tree.inside(['kill', '-0', pid]).status !== 0);

describe('integration.hooks', () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-hooked-'));
    hooks = hookFolder();
    const { root, write } = hooks;
    write('10-record', `echo "$PV_OP $PV_REV [$PV_TRY] $PV_TRYBOOT" >>${root}/seen; echo "I am uid $(id -u)"`);
    write(
      '20-judge',
      `case "$PV_OP $PV_REV" in
      "system-start locals/bad") echo "the modem of $PV_REV does not answer" >&2; exit 3;;
      "system-done 0") exit 1;;
      esac`,
    );
    write('30-hold', `if [ -e ${root}/hold ]; then echo $$ >${root}/held; exec sleep 100000; fi`);
    tree = await openTree(packExample(source({ s: SYSTEM, a: {} })));
    tree.start([...OPTIONS, ...hooks.options]);
    await tree.up();
  });
  after(async () => {
    await tree?.close();
    hooks?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it('gate what is tried, say why it was not let in, and only speak where nothing can be helped', async () => {
    await eventually('the end of the start was told', PATIENCE_MS, () => seen().length === 2);
    await eventually('its failure is logged', PATIENCE_MS, () =>
      /WARN {2}\[state\] hook 20-judge for system-done failed: it ended with exit code 1/.test(log()),
    );
    assert.match(log(), /INFO {2}\[10-record\] I am uid 0/);

    await installRevision(tree.socket, source({ s: { ...SYSTEM, init: `# another\n${STAYS}` }, a: {} }), 'bad');
    await command(tree.socket, 'LOCAL_RUN', 'locals/bad');
    const { 'status-msg': message, logs } = await progressReaches(tree.socket, 'locals/bad', 'ERROR');
    assert.equal(message, 'Unexpected rollback');
    assert.match(logs ?? '', /"lvl":"ERROR","src":"20-judge","msg":"the modem of locals\/bad does not answer"/);
    await eventually('it is back', PATIENCE_MS, () => seen().length === 6);
    await tree.up();
    assert.deepEqual(seen(), [
      'system-start 0 [] false',
      'system-done 0 [] false',
      'system-install-update 0 [locals/bad] false',
      'system-start locals/bad [locals/bad] true',
      'system-start 0 [] false',
      'system-done 0 [] false',
    ]);
    assert.equal((await progressReaches(tree.socket, 'current', 'DONE'))['status-msg'], 'Factory revision');
    assert.deepEqual((await get(tree.socket, '/health', healthAnswer)).reasons, []);
  });

  it('end with a state-svc that is killed while one runs, and are asked again by the next, which begins the update', async () => {
    await installRevision(tree.socket, source({ s: SYSTEM, a: { init: `# another\n${STAYS}` } }), 'live');
    const hook = await runUntilHeld('locals/live');
    await kill('state-svc');
    await isGone(hook);
    await progressReaches(tree.socket, 'locals/live', 'UPDATED');
    await eventually('it runs', PATIENCE_MS, () => seen().at(-1) === 'system-done locals/live [] false');
    assert.equal(seen().filter((line) => line === 'system-install-update 0 [locals/live] false').length, 2);
    await tree.up();
  });

  it('are run again by a lxc-svc that comes back, and the update goes on', async () => {
    await installRevision(tree.socket, source({ s: SYSTEM, a: { init: `# a third\n${STAYS}` } }), 'next');
    const hook = await runUntilHeld('locals/next');
    await kill('lxc-svc');
    await isGone(hook);
    await progressReaches(tree.socket, 'locals/next', 'UPDATED');
    await eventually('it runs', PATIENCE_MS, () => seen().at(-1) === 'system-done locals/next [] false');
    // Containers ran on: that was no start.
    assert.equal(seen().filter((line) => line.startsWith('system-start')).length, 3);
  });
});
