// The exit codes and messages of berth and berth check, from real processes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { berth, berthInShell, createScratch, EXAMPLE, POOL, type Scratch, soundSource } from './program.ts';

let scratch: Scratch;
before(() => {
  scratch = createScratch();
});
after(() => scratch.remove());

const SPEC = { '#spec': 'pantavisor-service-system@1' };
const device = (pool: object): object => ({ network: { pools: { internal: { ...POOL, ...pool } } } });

describe('berth', () => {
  it('says what exists when the command is wrong or missing', async () => {
    for (const args of [[], ['bake']]) {
      const { exitCode, stderr } = await berth(...args);
      assert.equal(exitCode, 2);
      assert.match(stderr, /run .*\n.*pack .*\n.*check .*\n.*help/);
    }
    assert.match((await berth('bake')).stderr, /no command 'bake'/);
  });

  it('prints its version and its help', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
    assert.equal((await berth('--version')).stdout, `${version}\n`);
    assert.equal((await berth('help')).exitCode, 0);
    assert.equal((await berth('version')).stdout, `${version}\n`);
    for (const command of ['pack', 'check', 'run']) {
      const { exitCode, stdout } = await berth(command, '--help');
      assert.equal(exitCode, 0);
      assert.match(stdout, new RegExp(`^usage: berth ${command} `));
      for (const words of [
        [command, '-h'],
        ['help', command],
      ]) {
        assert.deepEqual(await berth(...words), { exitCode: 0, stdout, stderr: '' }, words.join(' '));
      }
    }
  });

  it('fails where its answer cannot be written, and not where nobody reads it', async () => {
    const storage = join(scratch.folder, 'packed');
    const commands = ['help', '--version', 'run --help', `check ${EXAMPLE}`, `check --json ${EXAMPLE}`];
    for (const command of [...commands, `pack ${EXAMPLE} -o ${storage}`]) {
      const stderr = 'berth: the answer cannot be written: ENOSPC: no space left on device, write\n';
      assert.deepEqual(await berthInShell(`${command} > /dev/full`), { exitCode: 1, stdout: '', stderr }, command);
    }
    const unread = await berthInShell(`check --json ${EXAMPLE} | true; echo "\${PIPESTATUS[0]}"`);
    assert.deepEqual(unread, { exitCode: 0, stdout: '0\n', stderr: '' });
  });
});

describe('berth run', () => {
  const refusals: readonly (readonly [string, () => string, RegExp])[] = [
    ['a folder that is not there', () => join(scratch.folder, 'nowhere'), /nowhere: no such folder; berth pack SRC -o/],
    ['a file', () => join(import.meta.dirname, 'check.test.ts'), /check\.test\.ts: is a file; name a folder/],
    // Services would be given its boot/ and logs/.
    ['the root of the machine', () => '/', /--storage \/: holds no revision \(no trails\/\); berth pack SRC -o DIR/],
  ];
  for (const [what, storage, message] of refusals) {
    it(`takes ${what} for no storage, and touches nothing`, async () => {
      const { exitCode, stderr } = await berth('run', '--storage', storage(), '--rundir', join(scratch.folder, 'run'));
      assert.equal(exitCode, 2);
      assert.match(stderr, message);
      assert.match(stderr, /See berth run --help\.\n$/);
      assert.equal(existsSync(join(scratch.folder, 'run')), false);
    });
  }

  it('says of a read-only storage that it is, by the name that it was given', async () => {
    const storage = join(scratch.folder, 'read-only');
    mkdirSync(storage);
    chmodSync(scratch.folder, 0o755);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,mode=755', 'berth-read-only', storage]);
    try {
      for (const words of [[], ['--sandbox']]) {
        const { exitCode, stderr } = await berth('run', '--storage', storage, ...words);
        assert.equal(exitCode, 1);
        assert.match(stderr, /read-only is empty and cannot be given a first revision \(EROFS: read-only file system/);
        assert.ok(!stderr.includes('/run/berth/storage'), stderr);
      }
    } finally {
      execFileSync('umount', [storage]);
    }
  });

  it('names the folder that a sandbox could not enter as another user', async () => {
    const storage = dirname(scratch.write('closed/trails', { '0': '' }));
    chmodSync(storage, 0o700);
    const { exitCode, stderr } = await berth('run', '--storage', storage, '--sandbox');
    assert.equal(exitCode, 1);
    assert.match(stderr, /cannot enter (\S+\/closed), which is closed to others: chmod o\+x \1\n$/);
  });
});

describe('berth check', () => {
  it('calls an archive binary instead of quoting it', async () => {
    const folder = scratch.write('binary', { 'x.tgz': '\u001f\u0000\u001b[2J' });
    const { exitCode, stdout } = await berth('check', join(folder, 'x.tgz'));
    assert.equal(exitCode, 1);
    assert.match(stdout, /^x\.tgz: is binary, not JSON; to check an archive, check the folder/);
  });

  it('answers 0 and ok for a state, a device.json and a source folder', async () => {
    const sound = [
      scratch.write('sound-state', { 'state.json': { ...SPEC, 'device.json': device({}) } }),
      scratch.write('sound-device', { 'device.json': device({}) }),
    ];
    const paths = [join(sound[0] ?? '', 'state.json'), join(sound[1] ?? '', 'device.json'), EXAMPLE];
    for (const path of paths) {
      const { exitCode, stdout } = await berth('check', path);
      assert.equal(exitCode, 0, stdout);
      assert.match(stdout, /^ok: /);
    }
  });

  it('prints every error of a device.json with its path', async () => {
    const folder = scratch.write('bad-device', {
      'device.json': device({ bridge: 'br0; reboot', subnet: '10.0.5.1/24', gateway: 'nowhere' }),
    });
    const { exitCode, stdout } = await berth('check', join(folder, 'device.json'));
    assert.equal(exitCode, 1);
    for (const field of ['bridge', 'subnet', 'gateway']) {
      assert.match(stdout, new RegExp(`^device\\.json\\.network\\.pools\\.internal\\.${field}: `, 'm'));
    }
  });

  it('warns of names in a source folder that are near to one that is read, and of no other', async () => {
    const { 'device.json': _, 'containers/one/args.json': __, ...rest } = soundSource();
    const source = scratch.write('mistyped', {
      ...rest,
      'device.json': {
        Groups: [],
        network: { pools: { internal: { ...POOL, nat: undefined, Nat: true, colour: 'red' } } },
        groups: [{ name: 'app', time_out: 5, auto_recovery: { policy: 'always', max_retries: 1, retry_dely: 1 } }],
        disks: [{ name: 'data', pth: '/data', type: 'directory', path: '/data' }],
        owner: 'us',
      },
      'containers/one/Args.json': { PV_NETWORK_POOL: 'internal' },
      'containers/one/args.json': { PV_GROUP: 'app', PV_AUTO_RECOVERY: { policy: 'always', max_retry: 3, later: 1 } },
      'containers/one/volume/model': 'a model',
      'containers/one/notes.txt': 'dear',
      'containers.bak/one/init': '',
      'README.md': 'dear',
    });
    const { stdout } = await berth('check', '--json', source);
    const { warnings }: { warnings: readonly { path: string; code: string; message: string }[] } = JSON.parse(stdout);
    const told = warnings.filter(({ code }) => code === 'MISTYPED');
    assert.deepEqual(
      told.map(({ path, message }) => `${path} ${/nearest is (.*)/.exec(message)?.[1]}`),
      [
        'device.json.network.pools.internal.Nat nat',
        'device.json.groups.0.time_out timeout',
        'device.json.groups.0.auto_recovery.retry_dely retry_delay',
        'containers/one/args.json.PV_AUTO_RECOVERY.max_retry max_retries',
        'containers/one/volume volumes',
      ],
    );
    rmSync(join(source, 'containers/one/args.json'));
    const without = await berth('check', source);
    assert.match(
      without.stderr,
      /^warning: containers\/one\/Args\.json: is nothing that berth pack takes, and is left out; the nearest is args\.json$/m,
    );
    const lone = await berth('check', join(source, 'device.json'));
    assert.match(lone.stderr, /^warning: device\.json\.network\.pools\.internal\.Nat: is no key that Berth knows/m);
  });

  it('says what to write where pools overlap, and where a file is no state', async () => {
    const pools = { internal: POOL, lab: { ...POOL, bridge: 'pvbr1', subnet: '10.0.0.0/16' } };
    const folder = scratch.write('unsaid', { 'device.json': { network: { pools } }, 'letter.json': {} });
    assert.match(
      (await berth('check', join(folder, 'device.json'))).stdout,
      /^device\.json\.network\.pools\.lab\.subnet: 10\.0\.0\.0\/16 overlaps 10\.0\.5\.0\/24 of pool 'internal'; every pool needs a range of its own$/m,
    );
    assert.match(
      (await berth('check', join(folder, 'letter.json'))).stdout,
      /^#spec: is missing; must be "pantavisor-service-system@1"$/m,
    );
  });

  it('refuses a state with ../ paths and an unknown pool, both at once', async () => {
    const folder = scratch.write('bad-state', {
      'state.json': {
        ...SPEC,
        'device.json': device({}),
        '../../etc/passwd': '0'.repeat(64),
        'one/run.json': {
          '#spec': 'service-manifest-run@1',
          'root-volume': 'root.squashfs',
          network: { pool: 'does-not-exist' },
        },
        'one/root.squashfs': '0'.repeat(64),
        'one/lxc.container.conf': '0'.repeat(64),
      },
    });
    const { exitCode, stdout } = await berth('check', join(folder, 'state.json'));
    assert.equal(exitCode, 1);
    assert.match(stdout, /^\.\.\/\.\.\/etc\/passwd: /m);
    assert.match(stdout, /^one\/run\.json\.network\.pool: .*unknown pool 'does-not-exist'/m);
  });

  it('answers JSON for machines', async () => {
    const folder = scratch.write('json', { 'device.json': device({ gateway: '10.9.9.9' }) });
    const { exitCode, stdout } = await berth('check', '--json', join(folder, 'device.json'));
    assert.equal(exitCode, 1);
    const answer = JSON.parse(stdout);
    assert.deepEqual(Object.keys(answer), ['ok', 'problems', 'warnings']);
    assert.equal(answer.ok, false);
    assert.equal(answer.problems[0].path, 'device.json.network.pools.internal.gateway');
    assert.equal(answer.problems[0].code, 'GATEWAY_OUTSIDE');
    assert.equal(JSON.parse((await berth('check', '--json', EXAMPLE)).stdout).ok, true);
  });

  it('names a file that is no JSON, and where it breaks off', async () => {
    const folder = scratch.write('no-json', { 'device.json': '{' });
    const { exitCode, stdout } = await berth('check', join(folder, 'device.json'));
    assert.equal(exitCode, 1);
    assert.match(stdout, /^device\.json: is no JSON: /);
  });

  it('finds missing and damaged objects in a storage, and touches nothing', async () => {
    const storage = join(scratch.folder, 'storage');
    const source = scratch.write('source', soundSource());
    assert.equal((await berth('pack', source, '-o', storage)).exitCode, 0);
    assert.match((await berth('check', storage)).stdout, /^ok: revision 0 of storage /);
    const state = JSON.parse(readFileSync(join(storage, 'trails/0/.pvr/json'), 'utf8'));
    writeFileSync(join(storage, 'objects', state['one/root.squashfs']), 'other content');
    rmSync(join(storage, 'objects', state['one/lxc.container.conf']));
    const before = readdirSync(storage, { recursive: true, encoding: 'utf8' }).sort();
    const { exitCode, stdout } = await berth('check', storage);
    assert.equal(exitCode, 1);
    assert.match(stdout, /^one\/root\.squashfs: object [0-9a-f]{64} has content with sha256 /m);
    assert.match(stdout, /^one\/lxc\.container\.conf: object [0-9a-f]{64} is not in the storage/m);
    assert.deepEqual(readdirSync(storage, { recursive: true, encoding: 'utf8' }).sort(), before);
  });

  it('says so when the current revision is not there or not named', async () => {
    const missing = scratch.write('no-revision', {
      'boot/current.json': { revision: '7' },
      'trails/0/.pvr/json': SPEC,
    });
    assert.match((await berth('check', missing)).stdout, /^trails\/7\/\.pvr\/json: cannot be read/);
    const unnamed = scratch.write('unnamed', { 'boot/current.json': { revision: '../7' }, 'trails/0/.pvr/json': SPEC });
    assert.match((await berth('check', unnamed)).stdout, /^boot\/current\.json: names no revision/);
  });

  it('answers 2 for wrong use', async () => {
    const empty = scratch.write('empty', { 'letter.txt': 'dear' });
    for (const args of [[], ['a', 'b'], ['--frobnicate', EXAMPLE], [join(scratch.folder, 'nowhere')], [empty]]) {
      assert.equal((await berth('check', ...args)).exitCode, 2, args.join(' '));
    }
    assert.match((await berth('check', '-x', EXAMPLE)).stderr, /^berth check: Unknown option '-x'\nSee/);
    assert.match((await berth('check', '')).stderr, /^berth check: name a file or a folder\n/);
    assert.match(
      (await berth('check', '--journal', scratch.folder)).stderr,
      /: is no file; the journal of a storage is/,
    );
  });
});
