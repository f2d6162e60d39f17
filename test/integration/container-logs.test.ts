// What real containers say to /dev/log, pv-ctrl-log and pv-fd-log, over restarts of the container, of log-svc, and of the supervisor.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ask, containerRows, get, serviceRows } from '../kit/api.ts';
import { eventually } from '../kit/eventually.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';
import { readGenerations, readMessages } from '../log-svc/log-rig.ts';

/** Both C libraries say it in their own way; a machine without that compiler tries the other one only. */
const LIBRARIES = [
  { name: 'glibc', compiler: 'gcc' },
  { name: 'musl', compiler: 'musl-gcc' },
].filter(({ compiler }) => spawnSync(compiler, ['--version']).status === 0);

/** A path as the dynamic linker names it, for the program and for each library that it needs. */
function librariesOf(program: string): readonly string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? []);
}

function makeRevision(folder: string): void {
  for (const container of ['talker', 'mute', 'devless']) {
    const its = join(folder, 'containers', container);
    mkdirSync(its, { recursive: true });
    cpSync(join(import.meta.dirname, 'talker/init'), join(its, 'init'));
    const programs = LIBRARIES.map(({ name, compiler }) => {
      const source = join(import.meta.dirname, 'talker/talk.c');
      const { status, stderr } = spawnSync(compiler, ['-static', '-o', join(its, `talk.${name}`), source]);
      assert.equal(status, 0, String(stderr));
      return `file /bin/talk.${name} talk.${name} 0755`;
    });
    const list = [
      'file /bin/busybox /usr/bin/busybox|/bin/busybox 0755',
      'link /bin/sh busybox',
      'file /init init 0755',
      ...['/usr/bin/logger', ...librariesOf('/usr/bin/logger')].map((path) => `file ${path} ${path} 0755`),
      ...programs,
      'dir /dev',
      'dir /etc',
      'dir /proc',
      'dir /run',
      'dir /sys',
      'dir /tmp 1777',
    ];
    writeFileSync(join(its, 'rootfs.list'), `${list.join('\n')}\n`);
    const args = {
      PV_RESTART_POLICY: 'container',
      PV_LXC_NETWORK_TYPE: 'empty',
      PV_LXC_EXTRA_CONF: ['lxc.signal.halt = SIGTERM', ...(container === 'devless' ? ['lxc.autodev = 0'] : [])],
    };
    writeFileSync(join(its, 'args.json'), JSON.stringify(args));
  }
  writeFileSync(join(folder, 'device.json'), '{}');
}

describe('integration.container-logs', () => {
  let tree: Tree;
  const source = mkdtempSync(join(tmpdir(), 'berth-talker-'));
  before(async () => {
    makeRevision(source);
    const storage = packExample(source);
    const state = join(storage, 'trails/0/.pvr/json');
    const document = JSON.parse(readFileSync(state, 'utf8'));
    document['mute/run.json']['dev-log'] = false;
    writeFileSync(state, JSON.stringify(document));
    tree = await openTree(storage);
    tree.start();
    await tree.up();
  });
  after(async () => {
    await tree.close();
    rmSync(source, { recursive: true, force: true });
  });

  const pidOf = async (container: string): Promise<number> => {
    const row = (await tree.up()).find(({ name }) => name === container);
    assert.ok(row !== undefined && row.pid !== null);
    return row.pid;
  };
  /** In the container's mount namespace and root, as a process of it sees them. */
  const say = async (container: string, ...command: readonly string[]): Promise<string> => {
    const enter = ['nsenter', `--target=${await pidOf(container)}`, '--mount', '--root'];
    const { status, stderr, stdout } = tree.inside([...enter, ...command]);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const said = (container: string): string => readMessages(join(tree.storage, 'logs/current', container));
  const found = (container: string, line: RegExp): Promise<RegExpMatchArray> =>
    eventually(`${line} of ${container}`, PATIENCE_MS, () => said(container).match(line) ?? undefined);
  const [anyLibrary] = LIBRARIES;

  it('has what init says when it starts', async () => {
    await found('talker', /INFO {2}\[init\] process 1 started$/m);
  });

  it('keeps what busybox and util-linux log, in both forms', async () => {
    await say('talker', '/bin/busybox', 'logger', '-p', 'daemon.crit', '-t', 'box', 'by busybox');
    await found('talker', /^\[2\S+Z\] ERROR \[box\] by busybox$/m);
    await say('talker', '/usr/bin/logger', '-t', 'old', '-i', 'by util-linux');
    await found('talker', /INFO {2}\[old\] by util-linux pid=\d+$/m);
    await say(
      'talker',
      '/usr/bin/logger',
      '--socket',
      '/dev/log',
      '--rfc5424',
      '-t',
      'new',
      '-p',
      'user.warning',
      'by number',
    );
    await found('talker', /WARN {2}\[new\] by number$/m);
  });

  for (const { name } of LIBRARIES) {
    it(`keeps what syslog(3) of ${name} sends`, async () => {
      await say('talker', `/bin/talk.${name}`, 'syslog', 'app', `from ${name}`);
      await found('talker', new RegExp(`ERROR \\[app\\] from ${name} pid=\\d+$`, 'm'));
    });
  }

  it('keeps what is sent to pv-ctrl-log', async () => {
    const send = (text: string) =>
      say('talker', `/bin/talk.${anyLibrary?.name}`, 'send', '/pantavisor/pv-ctrl-log', text);
    await send('{"version":"0","level":"FATAL","src":"../../json","message":"one\\nline"}');
    await found('talker', /FATAL \[\.\.\/\.\.\/json\] one\\nline$/m);
    await send('level=warn src=pairs message="two words"');
    await found('talker', /WARN {2}\[pairs\] two words$/m);
  });

  for (const { name } of LIBRARIES) {
    it(`keeps what comes out of a pipe that is handed to pv-fd-log (${name})`, async () => {
      await say('talker', `/bin/talk.${name}`, 'fd', `stdout-${name}`, 'one line\nand the rest');
      await found('talker', new RegExp(`WARN {2}\\[stdout-${name}\\] one line\n.*and the rest$`, 'm'));
    });
  }

  it('keeps what a container says whose /dev is in its root file system', async () => {
    await say('devless', '/bin/busybox', 'logger', '-t', 'box', 'in a /dev of its own');
    await found('devless', /INFO {2}\[box\] in a \/dev of its own$/m);
    await say('devless', '/bin/busybox', 'test', '!', '-e', '/dev/null');
  });

  it('gives a container that does not want it no /dev/log, and it can speak all the same', async () => {
    await say('mute', '/bin/busybox', 'test', '!', '-e', '/dev/log');
    await say('mute', `/bin/talk.${anyLibrary?.name}`, 'send', '/pantavisor/dev-log', '<13>quiet: but here');
    await found('mute', /INFO {2}\[quiet\] but here$/m);
    assert.doesNotMatch(said('mute'), /process 1/);
  });

  it('keeps every line of a long console, once and whole, in order', async () => {
    // 1 MiB: what is kept of a flood is more, and what waits in memory at a time may be less.
    const [bursts, lines] = [16, 1024];
    const burst = `awk -v from=$((b * ${lines})) 'BEGIN { for (i = from; i < from + ${lines}; i++) printf "line %06d ${'.'.repeat(51)}\\n", i }'`;
    const script = `b=0; while [ $b -lt ${bursts} ]; do /bin/busybox ${burst} >/dev/console; b=$((b + 1)); /bin/busybox sleep 0.1; done`;
    await say('mute', '/bin/busybox', 'sh', '-c', script);
    const console = join(tree.storage, 'logs/current/mute/lxc/console.log');
    const last = `line ${String(bursts * lines - 1).padStart(6, '0')} `;
    await eventually('the last line', PATIENCE_MS, () => readGenerations(console).includes(last));
    const seen = readGenerations(console)
      .split(/\r?\n/)
      .filter((line) => line !== '');
    const wanted = Array.from(
      { length: bursts * lines },
      (_, id) => `line ${String(id).padStart(6, '0')} ${'.'.repeat(51)}`,
    );
    const wrong = seen.findIndex((line, index) => line !== wanted[index]);
    assert.equal(wrong, -1, `line ${wrong} is ${seen[wrong]}`);
    assert.equal(seen.length, wanted.length);
    const raw = `${tree.rundir}/lxc/.consoles/mute/console.log`;
    await eventually('its memory is given back', PATIENCE_MS, () => {
      const [blocks = 0, bytes = 0] = tree.inside(['stat', '-c', '%b %s', raw]).stdout.split(' ').map(Number);
      return bytes > 1024 * 1024 && blocks * 512 < 128 * 1024;
    });
  });

  const speaks = async (when: string): Promise<void> => {
    await say('talker', '/bin/busybox', 'logger', '-t', 'box', when);
    await found('talker', new RegExp(`INFO {2}\\[box\\] ${when}$`, 'm'));
  };

  it('goes on after log-svc was killed', async () => {
    const socket = await say('talker', '/bin/busybox', 'stat', '-L', '-c', '%i', '/dev/log');
    const victim = (await get(tree.socket, '/services', serviceRows)).find(({ name }) => name === 'log-svc');
    assert.ok(victim);
    tree.inside(['kill', '-KILL', String(victim.pid)]);
    await speaks('while log-svc restarts');
    assert.equal(await say('talker', '/bin/busybox', 'stat', '-L', '-c', '%i', '/dev/log'), socket);
  });

  it('goes on after the container was stopped and started', async () => {
    const act = (action: string) => ask(tree.socket, 'PUT', '/containers/talker', { action });
    const before = await pidOf('talker');
    const answer = () => ask(`${tree.rundir}/ctl/talker/pv-ctrl`, 'GET', '/containers');
    assert.equal((await answer()).status, 403);
    assert.equal((await act('stop')).status, 200);
    await eventually('nobody answers for it', PATIENCE_MS, () =>
      answer().then(
        () => undefined,
        () => true,
      ),
    );
    // Its sockets go before it is stopped to the end, and until then it is not started.
    await eventually('it is stopped', PATIENCE_MS, async () =>
      (await get(tree.socket, '/containers', containerRows)).some(
        ({ name, status }) => name === 'talker' && status === 'STOPPED',
      ),
    );
    assert.equal((await act('start')).status, 200);
    assert.notEqual(await pidOf('talker'), before);
    await speaks('after its restart');
    const starts = () => said('talker').match(/process 1 started/g)?.length;
    await eventually('its init has said so again', PATIENCE_MS, () => starts() === 2);
  });

  it('goes on in a container that the next supervisor adopts', async () => {
    const before = await pidOf('talker');
    await tree.killSupervisor();
    tree.start();
    assert.equal(await pidOf('talker'), before);
    await speaks('after its supervisor');
    const signal = await ask(`${tree.rundir}/ctl/talker/pv-ctrl`, 'GET', '/containers');
    assert.equal(signal.status, 403);
  });

  it('has no /dev/log where the configuration says so and run.json says nothing', async () => {
    await tree.endSupervisor('SIGTERM');
    tree.start(['--set', 'PV_LOG_AUTO_DEVLOG=0']);
    await say('talker', '/bin/busybox', 'test', '-e', '/dev/log');
    assert.equal((await ask(tree.socket, 'PUT', '/containers/talker', { action: 'restart' })).status, 200);
    await say('talker', '/bin/busybox', 'test', '!', '-e', '/dev/log');
  });
});
