// Hooks as scripts that are really run: which, in which order, with what they are told, and what becomes of those that fail.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { hooksFolder, hookTimeoutMs } from '../../services/lxc-svc/hook-files.ts';
import { createHookOutput } from '../../services/lxc-svc/hook-output.ts';
import { createHooks, type Hooks } from '../../services/lxc-svc/hooks.ts';
import { isAlive } from '../../services/lxc-svc/process-table.ts';
import { createSettings } from '../../shared/config/settings.ts';
import { type Logger, silentLogger } from '../../shared/log/logger.ts';
import type { HookSituation } from '../../shared/schema/hooks.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

const LONG_MS = 60_000;
const SITUATION: HookSituation = { life: 'one', revision: '0', tried: '', tryBoot: false, status: 'DONE' };

let root = '';
let folder = '';
let opened: Hooks[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'berth-hooks-'));
  folder = join(root, 'system.d');
  mkdirSync(folder);
  mkdirSync(join(root, 'run/lxc'), { recursive: true });
});
afterEach(() => {
  for (const hooks of opened) hooks.close();
  opened = [];
  for (const line of written('pids')) {
    try {
      process.kill(Number(line), 'SIGKILL');
    } catch {
      // It is gone, as it should be.
    }
  }
  rmSync(root, { recursive: true });
});

/** Whole lines: a shell makes a file before it writes to it. */
function written(name: string): readonly string[] {
  const path = join(root, name);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
}

function hook(name: string, script = '', mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho ${name} >>${root}/ran\n${script}\n`);
  chmodSync(path, mode);
  return path;
}

function open(timeoutMs = LONG_MS, log: Logger = silentLogger, at: string | undefined = folder): Hooks {
  const places = { rundir: join(root, 'run'), storage: '/the/storage', tree: 'test' };
  const hooks = createHooks({ places, folder: at, timeoutMs, log, speak: () => silentLogger });
  opened.push(hooks);
  return hooks;
}

const unending = new AbortController().signal;
const ask = (hooks: Hooks, event: Parameters<Hooks['run']>[0], changes: Partial<HookSituation> = {}) =>
  hooks.run(event, { ...SITUATION, ...changes }, unending);

describe('lxc.hooks', () => {
  it('run in the order of the bytes of their names, with what Pantavisor tells them and nothing of ours', async () => {
    for (const name of ['20-b', '10-z', 'Z', '5', 'ä', 'a']) hook(name);
    hook('00-env', `env >${root}/env; pwd >${root}/pwd; cat >${root}/stdin`);
    const situation = { revision: 'locals/x', tried: 'locals/x', tryBoot: true, status: 'TESTING' } as const;
    const outcome = await ask(open(), 'system-boot-done', situation);
    assert.deepEqual(outcome, { ok: true, ran: ['00-env', '10-z', '20-b', '5', 'Z', 'a', 'ä'] });
    assert.deepEqual(written('ran'), ['00-env', '10-z', '20-b', '5', 'Z', 'a', 'ä']);
    // The shell's own, and what Node adds for whatever it starts while coverage is measured.
    const env = written('env').filter((line) => !/^(PWD|SHLVL|_|OLDPWD|NODE_V8_COVERAGE)=/.test(line));
    assert.deepEqual([...env].sort(), [
      'LC_ALL=C',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'PV_OBJ_STORAGE=/the/storage/objects',
      'PV_OP=system-boot-done',
      'PV_REV=locals/x',
      'PV_STATUS=TESTING',
      'PV_TRAILS_STORAGE=/the/storage/trails/locals/x',
      'PV_TRY=locals/x',
      'PV_TRYBOOT=true',
    ]);
    assert.deepEqual([written('pwd'), readFileSync(join(root, 'stdin'), 'utf8')], [['/'], '']);
  });

  it('are ended before this process when memory is short', async (test) => {
    const own = '/proc/self/oom_score_adj';
    const before = readFileSync(own, 'utf8');
    test.after(() => writeFileSync(own, before));
    writeFileSync(own, '100');
    hook('10-looks', 'until read -r score </proc/$$/oom_score_adj && [ "$score" = 1000 ]; do :; done');
    assert.deepEqual(await ask(open(5_000), 'system-start'), { ok: true, ran: ['10-looks'] });
  });

  it('end with the first that fails, which is told with its last words', async () => {
    hook('10-fine');
    hook('20-bad', 'echo looking; echo "no key in slot 3" >&2; exit 7');
    hook('30-never');
    assert.deepEqual(await ask(open(), 'system-install-update', { tried: 'locals/x' }), {
      ok: false,
      failure: { hook: '20-bad', reason: 'it ended with exit code 7', words: ['no key in slot 3'] },
    });
    assert.deepEqual(written('ran'), ['10-fine', '20-bad']);
  });

  it('are no failure where there is no folder, no configuration, or nothing in the folder', async () => {
    const none = { ok: true, ran: [] };
    assert.deepEqual(await ask(open(), 'system-start'), none);
    assert.deepEqual(await ask(open(LONG_MS, silentLogger, join(root, 'nowhere')), 'system-start'), none);
    const unset = createHooks({
      places: { rundir: join(root, 'run'), storage: '/s', tree: 't' },
      folder: undefined,
      timeoutMs: LONG_MS,
      log: silentLogger,
      speak: () => silentLogger,
    });
    assert.deepEqual(await ask(unset, 'system-install-update'), none);
    assert.deepEqual(unset.health(), []);
  });

  it('are only regular executable files that root alone can change, and who is left out is told', async () => {
    hook('10-fine');
    hook('20-plain', '', 0o644);
    hook('30-group', '', 0o775);
    hook('40-world', '', 0o757);
    chownSync(hook('50-others'), 60_900, 0);
    symlinkSync(hook('10-fine'), join(folder, '60-link'));
    mkdirSync(join(folder, '70-folder'));
    const warnings: string[] = [];
    const hooks = open(LONG_MS, { ...silentLogger, warn: (line) => warnings.push(line) });
    assert.deepEqual(await ask(hooks, 'system-install-update'), { ok: true, ran: ['10-fine'] });
    const said = (name: string, reason: string) => `${join(folder, name)} is not run: ${reason}`;
    assert.deepEqual(warnings, [
      said('20-plain', 'it is not executable for its owner; chmod 0755 makes it a hook'),
      said('30-group', 'others than root may write to it, and it would run as root; chmod go-w'),
      said('40-world', 'others than root may write to it, and it would run as root; chmod go-w'),
      said('50-others', 'it belongs to user 60900, and would run as root; chown root'),
      said('60-link', 'it is a symbolic link; put the file itself here'),
      said('70-folder', 'it is a folder'),
    ]);
    // What may be there on purpose is no trouble.
    const subjects = hooks.health().map(({ subject }) => subject);
    assert.deepEqual(subjects, ['30-group', '40-world', '50-others']);
    await ask(hooks, 'system-install-update');
    assert.equal(warnings.length, 6, 'the same was told again');
    chmodSync(join(folder, '30-group'), 0o755);
    assert.deepEqual(await ask(hooks, 'system-install-update'), { ok: true, ran: ['10-fine', '30-group'] });
    assert.equal(hooks.health().length, 2);
  });

  it('are none at all while somebody else could put them there', async () => {
    hook('10-fine');
    for (const wrong of [folder, root]) {
      chmodSync(wrong, 0o777);
      const hooks = open();
      assert.deepEqual(await ask(hooks, 'system-install-update'), { ok: true, ran: [] });
      assert.match(hooks.health()[0]?.message ?? '', /others than root may write/);
      assert.ok(hooks.health()[0]?.message.includes(`${wrong}: `));
      chmodSync(wrong, 0o755);
    }
    assert.deepEqual(await ask(open(), 'system-install-update'), { ok: true, ran: ['10-fine'] });
  });

  it('are killed with all that they started when they take too long, and are told so', async () => {
    hook('10-hangs', `sleep 1000 & echo $! >>${root}/pids; echo waiting for the modem; wait`);
    hook('20-never');
    const outcome = await ask(open(3000), 'system-install-update');
    assert.ok(!outcome.ok);
    assert.deepEqual(outcome.failure, {
      hook: '10-hangs',
      reason: 'it did not end within 3 s (BERTH_HOOK_TIMEOUT) and was killed',
      words: ['waiting for the modem'],
    });
    assert.deepEqual(written('ran'), ['10-hangs']);
    const child = Number(written('pids')[0]);
    await eventually('its child is gone', PATIENCE_MS, () => !isAlive(child));
  });

  it('end with their own end: what is left of their session is killed, what has one of its own lives on', async () => {
    const daemonise = `setsid sh -c 'echo $$ >>${root}/pids; exec sleep 1000' &`;
    const until = `until [ "$(wc -l <${root}/pids)" = 2 ]; do sleep 0.05; done`;
    hook('10-forks', `sleep 1000 & echo $! >>${root}/pids; ${daemonise} ${until}`);
    assert.ok((await ask(open(), 'system-install-update')).ok);
    const [left = 0, daemon = 0] = written('pids').map(Number);
    await eventually('what was left is gone', PATIENCE_MS, () => !isAlive(left));
    assert.ok(isAlive(daemon), 'the daemon was killed');
  });

  it('tell why they cannot be started', async () => {
    writeFileSync(join(folder, '10-bad'), '#!/no/such/shell\n', { mode: 0o755 });
    const outcome = await ask(open(), 'system-install-update');
    assert.match(outcome.ok ? '' : outcome.failure.reason, /cannot be started: the interpreter/);
  });

  it('pass once for a start of the tree and once for a revision that runs, and again in another life', async () => {
    hook('10-fine');
    const hooks = open();
    const ran = async (life: string, revision: string, event: 'system-start' | 'system-done', of: Hooks) => {
      const outcome = await ask(of, event, { life, revision });
      return outcome.ok ? outcome.ran.length : -1;
    };
    assert.equal(await ran('one', '0', 'system-start', hooks), 1);
    assert.equal(await ran('one', '0', 'system-done', hooks), 1);
    assert.equal(await ran('one', '0', 'system-start', hooks), 0);
    assert.equal(await ran('one', 'locals/x', 'system-start', hooks), 0, 'of whatever revision');
    // A service that was restarted knows it as well.
    assert.equal(await ran('one', '0', 'system-done', open()), 0);
    assert.equal(await ran('one', 'locals/x', 'system-done', hooks), 1);
    assert.equal(await ran('two', '0', 'system-start', hooks), 1);
    rmSync(join(folder, '10-fine'));
    hook('20-bad', 'exit 1');
    assert.equal(await ran('three', '0', 'system-start', hooks), -1);
    assert.equal(await ran('three', '0', 'system-start', hooks), -1, 'a failure is no pass');
  });

  it('are called off with whoever waits for them, and with the service', async () => {
    hook('10-hangs', `echo $$ >>${root}/pids; exec sleep 1000`);
    const hooks = open();
    for (const callOff of ['caller', 'service'] as const) {
      const caller = new AbortController();
      const outcome = hooks.run('system-install-update', SITUATION, caller.signal);
      await eventually('it runs', PATIENCE_MS, () => written('pids').length === (callOff === 'caller' ? 1 : 2));
      const pid = Number(written('pids').at(-1));
      assert.ok(isAlive(pid));
      if (callOff === 'caller') caller.abort();
      else hooks.close();
      const answer = await outcome;
      assert.match(answer.ok ? '' : answer.failure.reason, /nobody waits/);
      assert.ok(!isAlive(pid));
    }
  });

  it('of a service that was killed are killed by the next, which trusts no number without its start time', async () => {
    hook('10-hangs', `echo $$ >>${root}/pids; exec sleep 1000`);
    const before = open();
    void ask(before, 'system-install-update');
    const record = join(root, 'run/lxc/hooks.json');
    const running = await eventually('it is written down', PATIENCE_MS, () =>
      existsSync(record) ? JSON.parse(readFileSync(record, 'utf8')).running : undefined,
    );
    const other = { ...running, startTicks: running.startTicks + 1 };
    const text = readFileSync(record, 'utf8');
    writeFileSync(record, text.replace(JSON.stringify(running), JSON.stringify(other)));
    const killed: string[] = [];
    const telling: Logger = { ...silentLogger, warn: (line) => killed.push(line) };
    open(LONG_MS, telling);
    assert.deepEqual(killed, [], 'somebody else was killed');
    assert.ok(isAlive(running.pid));
    writeFileSync(record, text);
    open(LONG_MS, telling);
    assert.match(killed[0] ?? '', /10-hangs .* still ran, and is killed/);
    await eventually('it is gone', PATIENCE_MS, () => !isAlive(running.pid));
  });

  it('wait for each other', async () => {
    hook('10-slow', `echo "$PV_OP begins" >>${root}/ran; sleep 0.2; echo "$PV_OP ends" >>${root}/ran`);
    const hooks = open();
    await Promise.all([ask(hooks, 'system-done'), ask(hooks, 'system-install-update')]);
    const order = written('ran').filter((line) => line.includes(' '));
    const [done, install] = ['system-done', 'system-install-update'];
    assert.deepEqual(order, [`${done} begins`, `${done} ends`, `${install} begins`, `${install} ends`]);
  });
});

describe('lxc.hookOutput', () => {
  it('is line by line in the log of the hook, and the last lines of stderr are its words', () => {
    const lines: string[] = [];
    const output = createHookOutput({
      ...silentLogger,
      info: (line) => lines.push(`info ${line}`),
      warn: (line) => lines.push(`warn ${line}`),
    });
    output.out(Buffer.from('one\ntw'));
    output.err(Buffer.from('bad \u00e4'.slice(0, 5)));
    output.out(Buffer.from('o\n\n'));
    output.end();
    assert.deepEqual(lines, ['info one', 'info two', 'warn bad \u00e4']);
    assert.deepEqual(output.words(), ['bad \u00e4']);
  });

  it('is bounded, whatever a hook says', () => {
    let lines = 0;
    const last: string[] = [];
    const output = createHookOutput({
      ...silentLogger,
      info: () => {
        lines += 1;
      },
      warn: (line) => last.push(line),
    });
    for (let round = 0; round < 300; round += 1) output.out(Buffer.from('x\n'.repeat(10)));
    output.out(Buffer.alloc(1024 * 1024, 'y'));
    output.end();
    assert.equal(lines, 1000);
    assert.match(last[0] ?? '', /^2001 lines left out/);
    assert.ok(Buffer.byteLength(output.words().join('')) < 20_000);
  });
});

describe('lxc.hooksFolder', () => {
  const of = (value: string) =>
    hooksFolder({ settings: [{ key: 'PV_SYSTEM_LIBDIR', value, origin: 'command' as const }] });
  it('is where Pantavisor has it, elsewhere when told so, and nowhere when told that', () => {
    assert.equal(hooksFolder({}), '/usr/lib/pantavisor/pv/hooks/system.d');
    assert.equal(of('/opt/pv/'), '/opt/pv/pv/hooks/system.d');
    assert.deepEqual([of(''), of('/opt/../pv')], [undefined, undefined]);
  });

  it('gives each hook between a second and an hour', () => {
    const limit = (value: string) =>
      hookTimeoutMs(createSettings([{ key: 'BERTH_HOOK_TIMEOUT', value, origin: 'command' }]).settings);
    assert.deepEqual([limit('0'), limit('5min'), limit('99d')], [1000, 300_000, 3_600_000]);
  });
});
