// Hard links to files of others, which no service may make: the kernel is told so before any runs.
import { reexecInNamespaces } from '../kit/namespaced.ts';

reexecInNamespaces(import.meta.filename);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { protectLinks } from '../../services/supervisor/protected-links.ts';
import { startSupervisor } from '../../services/supervisor/supervisor.ts';
import { bundled } from '../kit/bundled.ts';

describe('supervisor.protected-links', () => {
  let folder = '';
  let parameter = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-links-'));
    parameter = join(folder, 'protected_hardlinks');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  for (const [before, maySet, after, isTold] of [
    ['0\n', true, '1\n', false],
    ['1\n', true, '1\n', false],
    ['0\n', false, '0\n', true],
    ['1\n', false, '1\n', false],
  ] as const) {
    it(`are ${isTold ? 'told of' : 'refused'} where the kernel says ${before.trim()}, and it ${maySet ? 'may' : 'may not'} be set`, () => {
      writeFileSync(parameter, before);
      const told = protectLinks(maySet, parameter);
      assert.equal(readFileSync(parameter, 'utf8'), after);
      assert.equal(told.length, isTold ? 1 : 0, told.join());
    });
  }

  it('are told of where nobody can say', () => {
    assert.match(protectLinks(true, parameter).join(), /fs\.protected_hardlinks is not set: ENOENT/);
  });

  it('are refused as soon as a tree is there', async () => {
    writeFileSync(parameter, '0\n');
    execFileSync('mount', ['--bind', parameter, '/proc/sys/fs/protected_hardlinks']);
    chmodSync(folder, 0o755);
    const path = (name: string): string => join(folder, name);
    for (const name of ['program', 'storage', 'run']) mkdirSync(path(name));
    writeFileSync(path('program/boot.js'), 'require(process.argv[2]);');
    const service = await bundled('test/supervisor/asking-service.ts');
    for (const contract of SERVICE_CONTRACTS) copyFileSync(service, path(`program/${contract.service}.js`));
    const lines: string[] = [];
    const [rundir, storage, program] = ['run', 'storage', 'program'].map(path) as [string, string, string];
    const places = { rundir, storage, program };
    const rest = { settings: [], warnings: [], notes: [], sysctls: [], say: (line: string) => void lines.push(line) };
    const supervisor = await startSupervisor({ ...places, mode: 'appengine', ...rest });
    await supervisor.ready;
    await supervisor.stop('stop', 'stays');
    execFileSync('umount', ['/proc/sys/fs/protected_hardlinks']);
    assert.equal(readFileSync(parameter, 'utf8'), '1\n', lines.join('\n'));
  });
});
