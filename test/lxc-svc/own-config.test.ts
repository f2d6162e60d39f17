// What is read of a container's own configuration, and of files of the host that it names: each within bounds, and none that has to be waited for.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { readOwnConfig } from '../../services/lxc-svc/own-config.ts';
import { MAX_CONFIG_BYTES } from '../../shared/lxc-config/parse.ts';

const OWN_CONFIG = JSON.stringify(join(import.meta.dirname, '../../services/lxc-svc/own-config.ts'));
const UNREADABLE = 'this host has no such file, or it cannot be read';
const INSTANCES = '/sys/kernel/tracing/instances';

let folder = '';
let config = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-own-config-'));
  config = join(folder, 'lxc.container.conf');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** In a process of its own, which ends whatever it waits for. */
function reasonsApart(fstab: string): unknown {
  writeFileSync(config, `lxc.mount.fstab = ${fstab}\n`);
  const source = `import { readOwnConfig } from ${OWN_CONFIG};
    const { problems } = readOwnConfig(process.argv[1]);
    console.log(JSON.stringify(problems.map(({ reason }) => reason)));`;
  const { stdout, stderr, signal } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', source, config],
    { cwd: join(import.meta.dirname, '../..'), encoding: 'utf8', timeout: 20_000, killSignal: 'SIGKILL' },
  );
  assert.equal(signal, null, `reading ${fstab} does not end`);
  return stdout === '' ? stderr : JSON.parse(stdout);
}

describe('lxc-svc.ownConfig', () => {
  it('is read with what it includes and the mounts that it names, in its folder and on the host', () => {
    writeFileSync(join(folder, 'more'), 'lxc.b = 2\n');
    writeFileSync(join(folder, 'fstab'), '/a a none bind\n');
    for (const fstab of ['fstab', join(folder, 'fstab')]) {
      writeFileSync(config, `lxc.a = 1\nlxc.include = more\nlxc.mount.fstab = ${fstab}\n`);
      const { entries, problems } = readOwnConfig(config);
      assert.deepEqual(
        entries.map(({ key, value }) => `${key}=${value}`),
        ['lxc.mount.entry=/a a none bind', 'lxc.a=1', 'lxc.b=2'],
      );
      assert.deepEqual(problems, []);
    }
  });

  it('has a limit, which a file may just have', () => {
    const text = (bytes: number) => 'lxc.a = 1\n'.padEnd(bytes, '\n');
    writeFileSync(config, text(MAX_CONFIG_BYTES));
    assert.equal(readOwnConfig(config).entries.length, 1);
    writeFileSync(config, text(MAX_CONFIG_BYTES + 1));
    assert.throws(() => readOwnConfig(config), /lxc\.container\.conf has more than 1048576 bytes/);
  });

  it('is a file', () => {
    assert.throws(() => readOwnConfig(config), { code: 'ENOENT' });
    assert.throws(() => readOwnConfig(folder), /is no file$/);
    execFileSync('mkfifo', [config]);
    assert.throws(() => readOwnConfig(config), /is no file$/);
  });

  it('names no file of the host that has no end', () => {
    assert.deepEqual(reasonsApart('/proc/self/pagemap'), [`lxc.mount.fstab = /proc/self/pagemap: ${UNREADABLE}`]);
  });

  const isTracing = existsSync(INSTANCES);
  it('names no file of the host that has to be waited for', { skip: !isTracing && 'tracefs is not mounted' }, () => {
    // As /proc/kmsg, but nobody misses what is read of it here.
    const instance = join(INSTANCES, `berth-test-${process.pid}`);
    mkdirSync(instance);
    try {
      const pipe = join(instance, 'trace_pipe');
      assert.deepEqual(reasonsApart(pipe), [`lxc.mount.fstab = ${pipe}: ${UNREADABLE}`]);
    } finally {
      rmdirSync(instance);
    }
  });
});
