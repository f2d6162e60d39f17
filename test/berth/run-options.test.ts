// What `berth run` makes of its words, of pantavisor.config and of the environment.
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseRunOptions } from '../../scripts/berth/run-options.ts';
import { createScratch, type Scratch } from './program.ts';

let scratch: Scratch;
before(() => {
  scratch = createScratch();
  mkdirSync(join(scratch.folder, 'trails'));
});
after(() => scratch.remove());

type Env = Readonly<Record<string, string>>;

function parse(words: readonly string[], env: Env = {}) {
  const options = parseRunOptions(['--storage', scratch.folder, ...words], env);
  assert.ok(!('wrong' in options), JSON.stringify(options));
  return options;
}

function refusal(words: readonly string[], env: Env = {}): string {
  const options = parseRunOptions(words, env);
  assert.ok('wrong' in options);
  return options.wrong;
}

function configFile(text: string): string {
  const path = join(scratch.folder, 'pantavisor.config');
  writeFileSync(path, text);
  return path;
}

describe('berth run configuration', () => {
  it('is as the defaults have it when nothing is said', () => {
    const { configuration, mode, rundir } = parse([]);
    assert.deepEqual(configuration.settings.written(), []);
    assert.deepEqual(configuration.words, []);
    assert.deepEqual([mode, rundir], ['appengine', '/run/pantavisor/pv']);
  });

  it('takes the command line before the environment, and that before the file', () => {
    const config = configFile('PV_LOG_LEVEL=1\nPV_UPDATER_COMMIT_DELAY=1\nPV_WDT_TIMEOUT=1\n');
    const env = { PV_LOG_LEVEL: '2', PV_UPDATER_COMMIT_DELAY: '2' };
    const { settings } = parse(['--config', config, '--set', 'PV_LOG_LEVEL=3'], env).configuration;
    const row = (key: string) => settings.rows().find((each) => each.key === key);
    assert.deepEqual([row('PV_LOG_LEVEL')?.text, row('PV_LOG_LEVEL')?.origin], ['3', 'command']);
    assert.deepEqual([row('PV_UPDATER_COMMIT_DELAY')?.text, row('PV_UPDATER_COMMIT_DELAY')?.origin], ['2', 'env']);
    assert.deepEqual([row('PV_WDT_TIMEOUT')?.text, row('PV_WDT_TIMEOUT')?.origin], ['1', 'pv conf file']);
  });

  it('takes a time on the command line as the file does', () => {
    assert.equal(parse(['--lease-hold', '2d']).configuration.settings.value('BERTH_LEASE_HOLD'), 2 * 86_400);
  });

  it('says where things are when no option does', () => {
    const run = join(scratch.folder, 'run');
    const env = { PV_STORAGE_MNTPOINT: scratch.folder, PV_SYSTEM_RUNDIR: run, PV_SYSTEM_INIT_MODE: 'embedded' };
    const options = parseRunOptions([], env);
    assert.ok(!('wrong' in options));
    assert.deepEqual([options.storage, options.rundir, options.mode], [scratch.folder, run, 'embedded']);
    assert.equal(parse(['--mode', 'appengine'], env).mode, 'appengine');
  });

  it('takes folders behind links for what they are, also where they are not there yet', () => {
    const { folder } = scratch;
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    symlinkSync('.', join(folder, 'storage'));
    const rundirOf = (path: string) => parse(['--rundir', join(folder, path)]).rundir;
    assert.equal(rundirOf('link'), join(folder, 'real'));
    assert.equal(rundirOf('link/not/yet'), join(folder, 'real/not/yet'));
    assert.equal(rundirOf('not/yet'), join(folder, 'not/yet'));
    assert.equal(parse(['--storage', join(folder, 'storage')]).storage, folder);
  });

  it('is the same after the way into a sandbox', () => {
    const config = configFile('PV_UPDATER_COMMIT_DELAY=1\n');
    const words = ['--config', config, '--pool-overlap', 'warning', '--lease-hold', '0', '--nat', 'none'];
    const { settings, words: inside } = parse([...words, '--set', 'updater.goals.timeout=7']).configuration;
    assert.equal(settings.value('BERTH_POOL_OVERLAP'), 'warning');
    assert.equal(settings.value('BERTH_LEASE_HOLD'), 0);
    assert.equal(settings.value('BERTH_NAT'), 'none');
    assert.equal(settings.value('PV_UPDATER_GOALS_TIMEOUT'), 7);
    assert.deepEqual(parse(inside).configuration.settings.written(), settings.written());
    // Where another folder is the current one.
    const { words: relativeInside } = parse(['--config', relative(process.cwd(), config)]).configuration;
    assert.deepEqual(relativeInside, ['--config', config]);
  });

  it('goes on past a value of the file that cannot be used, and tells it', () => {
    const config = configFile('PV_UPDATER_COMMIT_DELAY=soon\n');
    const { settings, warnings } = parse(['--config', config]).configuration;
    assert.equal(settings.value('PV_UPDATER_COMMIT_DELAY'), 25);
    const told = "PV_UPDATER_COMMIT_DELAY is 'soon'; it must be a whole number of up to nine digits";
    assert.deepEqual(warnings, [`${config}:1: ${told}`]);
  });

  it('notes keys of a file that are none', () => {
    const config = configFile('PV_NO_SUCH=1\n');
    const { warnings, notes } = parse(['--config', config]).configuration;
    assert.deepEqual([warnings, notes], [[], [`${config}:1: there is no key 'PV_NO_SUCH'; it is ignored`]]);
  });

  it('tells of a value of the environment that it is of that', () => {
    const { settings, warnings } = parse([], { PV_UPDATER_COMMIT_DELAY: 'soon' }).configuration;
    assert.equal(settings.value('PV_UPDATER_COMMIT_DELAY'), 25);
    const told = "PV_UPDATER_COMMIT_DELAY is 'soon'; it must be a whole number of up to nine digits";
    assert.deepEqual(warnings, [`the environment: ${told}`]);
  });

  it('refuses a written storage or rundir that depends on where Berth is started, and not a typed one', () => {
    const config = configFile('PV_SYSTEM_RUNDIR=run/pv\nPV_STORAGE_MNTPOINT=data\n');
    const rest = 'must be an absolute path';
    const storage = ['--storage', scratch.folder];
    assert.equal(refusal([...storage, '--config', config]), `${config}: PV_SYSTEM_RUNDIR run/pv: ${rest}`);
    assert.equal(refusal(['--config', config]), `${config}: PV_STORAGE_MNTPOINT data: ${rest}`);
    assert.equal(refusal(storage, { PV_SYSTEM_RUNDIR: './pv' }), `the environment: PV_SYSTEM_RUNDIR ./pv: ${rest}`);
    assert.equal(refusal([...storage, '--set', 'PV_SYSTEM_RUNDIR=pv']), `--set: PV_SYSTEM_RUNDIR pv: ${rest}`);
    assert.equal(refusal([...storage, '--rundir', '']), `--rundir : ${rest}`);
    const typed = [
      '--rundir',
      relative(process.cwd(), scratch.folder),
      '--storage',
      relative(process.cwd(), scratch.folder),
    ];
    assert.equal(parse(['--config', config, ...typed]).rundir, scratch.folder);
    assert.equal(parse(['--config', config, ...typed]).storage, scratch.folder);
  });

  it('says where a storage was named that is none', () => {
    const folder = join(scratch.folder, 'nowhere');
    const rest = `PV_STORAGE_MNTPOINT ${folder}: no such folder; `;
    const config = configFile(`PV_STORAGE_MNTPOINT=${folder}\n`);
    assert.ok(refusal(['--config', config]).startsWith(`${config}: ${rest}`));
    assert.ok(refusal([], { PV_STORAGE_MNTPOINT: folder }).startsWith(`the environment: ${rest}`));
  });

  it('takes an empty folder for one that nobody has named', () => {
    const config = configFile('PV_SYSTEM_RUNDIR=\nPV_SYSTEM_ETCDIR=""\n');
    const { rundir, configuration } = parse(['--config', config], { PV_SYSTEM_ETCDIR: '' });
    assert.equal(rundir, '/run/pantavisor/pv');
    assert.equal(configuration.settings.value('PV_SYSTEM_ETCDIR'), '/etc');
    assert.deepEqual([configuration.settings.written(), configuration.warnings], [[], []]);
    const below = configFile(`PV_SYSTEM_RUNDIR=${scratch.folder}/below\n`);
    assert.equal(parse(['--config', below], { PV_SYSTEM_RUNDIR: '' }).rundir, join(scratch.folder, 'below'));
  });

  it('has the log warn of keys of a bridge, which nobody makes for them', () => {
    const { warnings, notes } = parse([
      '--config',
      configFile('PV_NET_BRDEV=br9\nnet.brmask4=255.255.0.0\n'),
    ]).configuration;
    assert.deepEqual(warnings, []);
    assert.match(notes.join('\n'), /^PV_NET_BRDEV=br9 PV_NET_BRMASK4=255\.255\.0\.0 does nothing: .* device\.json$/);
    assert.match(parse(['--set', 'PV_NET_BRADDRESS4=10.9.0.1']).configuration.notes[0] ?? '', /^PV_NET_BRADDRESS4=/);
    assert.deepEqual(parse(['--config', configFile('')]).configuration.notes, []);
  });

  it('warns of a policy, whose file nobody reads', () => {
    const { warnings } = parse(['--config', configFile('PV_POLICY=secure\n')]).configuration;
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? '',
      /^PV_POLICY is 'secure', and Berth reads no policy files: PV_SECUREBOOT_MODE .*config$/,
    );
    assert.deepEqual(parse(['--config', configFile('PV_POLICY=\n')]).configuration.warnings, []);
  });

  it('names where a mode was set that is not supported, when no option says it', () => {
    const storage = ['--storage', scratch.folder];
    const config = configFile('system.init.mode=1\n');
    const rest = 'PV_SYSTEM_INIT_MODE standalone: must be appengine or embedded';
    assert.equal(refusal([...storage, '--config', config]), `${config}: ${rest}`);
    assert.equal(refusal(storage, { PV_SYSTEM_INIT_MODE: 'standalone' }), `the environment: ${rest}`);
    assert.equal(refusal([...storage, '--set', 'PV_SYSTEM_INIT_MODE=standalone']), `--set: ${rest}`);
  });

  it('refuses what was said wrongly, naming it', () => {
    const storage = ['--storage', scratch.folder];
    for (const [words, message] of [
      [['--pool-overlap', 'maybe'], /--pool-overlap maybe: must be error or warning/],
      [['--lease-hold', '1w'], /--lease-hold 1w: must be a number of seconds, or with a unit: 30s, 10min, 1h, 1d/],
      [['--nat', 'pf'], /--nat pf: must be nftables, iptables or none/],
      [['--set', 'PV_NO_SUCH=1'], /--set PV_NO_SUCH=1: there is no key 'PV_NO_SUCH'/],
      [['--set', 'PV_LOG_LEVEL'], /--set PV_LOG_LEVEL: has no value; write PV_LOG_LEVEL=value/],
      [['--set', 'PV_WDT_TIMEOUT=x'], /PV_WDT_TIMEOUT is 'x'; it must be a whole number/],
      [['--config', '/nowhere/c'], /--config \/nowhere\/c: ENOENT/],
      [['--mode', 'standalone'], /--mode standalone: must be appengine or embedded/],
    ] as const) {
      assert.match(refusal([...storage, ...words]), message);
    }
    assert.match(refusal([]), /--storage is missing/);
  });
});
