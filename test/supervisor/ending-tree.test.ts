// A tree that ends, with services that are none: what it is asked for meanwhile.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SERVICE_CONTRACTS } from '../../services/supervisor/contracts.ts';
import { startSupervisor } from '../../services/supervisor/supervisor.ts';
import { bundled } from '../kit/bundled.ts';

describe('supervisor.stop', () => {
  let folder = '';
  const path = (name: string): string => join(folder, name);
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-ending-'));
    chmodSync(folder, 0o755);
    for (const name of ['program', 'storage', 'run']) mkdirSync(path(name));
    writeFileSync(path('program/boot.js'), 'require(process.argv[2]);');
    const service = await bundled('test/supervisor/asking-service.ts');
    for (const contract of SERVICE_CONTRACTS) copyFileSync(service, path(`program/${contract.service}.js`));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('counts no reboot for whoever asks while the tree ends, and carries none out', async () => {
    const lines: string[] = [];
    const supervisor = await startSupervisor({
      rundir: path('run'),
      storage: path('storage'),
      program: path('program'),
      mode: 'appengine',
      settings: [],
      warnings: [],
      notes: [],
      sysctls: [],
      say: (line) => lines.push(line),
    });
    let isAsked = false;
    void supervisor.rebootAsked.then(() => {
      isAsked = true;
    });
    await supervisor.ready;
    assert.equal(await supervisor.stop('stop', 'stays'), 'orderly');
    const isCounted = existsSync(path('storage/supervisor/reboots.json'));
    assert.deepEqual([isAsked, isCounted], [false, false], lines.join('\n'));
  });
});
