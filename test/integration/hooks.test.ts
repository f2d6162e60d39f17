// Hooks in a whole tree: real scripts, told of a start, an update and its failure.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { get } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { type HookFolder, hookFolder } from '../kit/hooks.ts';
import { command, installRevision, progressReaches, STAYS, writeSource } from '../kit/step.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

const SYSTEM = { args: { PV_GROUP: 'platform', PV_RESTART_POLICY: 'system' } };
const QUICK = ['--set', 'PV_UPDATER_COMMIT_DELAY=1'];
const healthBody = z.object({ reasons: z.array(z.object({ code: z.string(), message: z.string() })) });

let tree: Tree | undefined;
let hooks: HookFolder | undefined;
let folder = '';
afterEach(async () => {
  await tree?.close();
  tree = undefined;
  hooks?.remove();
  rmSync(folder, { recursive: true, force: true });
});

describe('integration.hooks', () => {
  it('gate what is tried, say why it was not let in, and only speak where nothing can be helped', async () => {
    const its = hookFolder();
    hooks = its;
    its.write('10-record', `echo "$PV_OP $PV_REV [$PV_TRY] $PV_TRYBOOT" >>${its.root}/seen; echo "I am uid $(id -u)"`);
    its.write(
      '20-judge',
      `case "$PV_OP $PV_REV" in
      "system-start locals/bad") echo "the modem of $PV_REV does not answer" >&2; exit 3;;
      "system-done 0") exit 1;;
      esac`,
    );
    const seen = (): readonly string[] =>
      existsSync(join(its.root, 'seen')) ? readFileSync(join(its.root, 'seen'), 'utf8').trimEnd().split('\n') : [];
    folder = mkdtempSync(join(tmpdir(), 'berth-hooked-'));
    const opened = await openTree(packExample(writeSource(join(folder, 'source'), { s: SYSTEM })));
    tree = opened;
    opened.start([...QUICK, ...its.options]);
    await opened.up();
    await eventually('the end of the start was told', PATIENCE_MS, () => seen().length === 2);
    const log = () => opened.readLog('pantavisor/pantavisor.log');
    await eventually('its failure is logged', PATIENCE_MS, () =>
      /WARN {2}\[state\] hook 20-judge for system-done failed: it ended with exit code 1/.test(log()),
    );
    assert.match(log(), /INFO {2}\[10-record\] I am uid 0/);

    const source = writeSource(join(folder, 'source'), { s: { ...SYSTEM, init: `# another\n${STAYS}` } });
    await installRevision(opened.socket, source, 'bad');
    await command(opened.socket, 'LOCAL_RUN', 'locals/bad');
    const { 'status-msg': message, logs } = await progressReaches(opened.socket, 'locals/bad', 'ERROR');
    assert.equal(message, 'Unexpected rollback');
    assert.match(logs ?? '', /"lvl":"ERROR","src":"20-judge","msg":"the modem of locals\/bad does not answer"/);
    await eventually('it is back', PATIENCE_MS, () => seen().length === 6);
    await opened.up();
    assert.deepEqual(seen(), [
      'system-start 0 [] false',
      'system-done 0 [] false',
      'system-install-update 0 [locals/bad] false',
      'system-start locals/bad [locals/bad] true',
      'system-start 0 [] false',
      'system-done 0 [] false',
    ]);
    assert.equal((await progressReaches(opened.socket, 'current', 'DONE'))['status-msg'], 'Factory revision');
    assert.deepEqual((await get(opened.socket, '/health', healthBody)).reasons, []);
  });
});
