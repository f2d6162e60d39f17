import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type FileWatch, watchFiles } from '../../shared/kernel/file-watch.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';

let folder = '';
let watching: FileWatch | undefined;
let told = 0;
const at = (name: string): string => join(folder, name);

const follow = (...names: string[]): void => {
  told = 0;
  watching = watchFiles(names.map(at), () => {
    told += 1;
  });
};
const tells = async (act: () => void): Promise<void> => {
  const before = told;
  act();
  await eventually('the change is told', PATIENCE_MS, () => told > before);
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-watch-'));
  for (const name of ['etc', 'run']) mkdirSync(at(name));
});
afterEach(() => {
  watching?.close();
  rmSync(folder, { recursive: true });
});

describe('watchFiles', () => {
  it('tells of a file that comes, is written, is replaced and goes', async () => {
    follow('etc/resolv.conf', 'absent/resolv.conf');
    await tells(() => writeFileSync(at('etc/resolv.conf'), 'a'));
    await tells(() => writeFileSync(at('etc/resolv.conf'), 'b'));
    writeFileSync(at('etc/new'), 'c');
    await tells(() => renameSync(at('etc/new'), at('etc/resolv.conf')));
    await tells(() => rmSync(at('etc/resolv.conf')));
  });

  it('follows a link, also to another place', async () => {
    writeFileSync(at('run/one'), '');
    symlinkSync(at('run/one'), at('etc/resolv.conf'));
    follow('etc/resolv.conf');
    await tells(() => writeFileSync(at('run/one'), 'a'));
    writeFileSync(at('run/two'), '');
    symlinkSync(at('run/two'), at('etc/new'));
    await tells(() => renameSync(at('etc/new'), at('etc/resolv.conf')));
    await tells(() => writeFileSync(at('run/two'), 'b'));
  });

  it('tells of a file in folders that come later, and that go and come again', async () => {
    follow('run/systemd/resolve/resolv.conf');
    for (let time = 0; time < 2; time += 1) {
      await tells(() => mkdirSync(at('run/systemd')));
      await tells(() => mkdirSync(at('run/systemd/resolve')));
      await tells(() => writeFileSync(at('run/systemd/resolve/resolv.conf'), 'a'));
      await tells(() => rmSync(at('run/systemd/resolve/resolv.conf')));
      await tells(() => rmSync(at('run/systemd/resolve'), { recursive: true }));
      await tells(() => rmSync(at('run/systemd'), { recursive: true }));
    }
  });

  it('tells of what a link leads to that comes later', async () => {
    symlinkSync('../run/systemd/stub.conf', at('etc/resolv.conf'));
    follow('etc/resolv.conf');
    await tells(() => mkdirSync(at('run/systemd')));
    await tells(() => writeFileSync(at('run/systemd/stub.conf'), 'a'));
    await tells(() => writeFileSync(at('run/systemd/stub.conf'), 'b'));
  });

  it('tells nothing of other files, and once of a burst', async () => {
    follow('etc/resolv.conf');
    writeFileSync(at('etc/hosts'), '');
    await tells(() => {
      for (let round = 0; round < 50; round += 1) writeFileSync(at('etc/resolv.conf'), String(round));
    });
    assert.equal(told, 1);
  });
});
