// Kernel modules through a stand-in for modprobe that writes down how it was called; no module of this machine is touched.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createKernelModules } from '../../services/lxc-svc/kernel-modules.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-modules-'));
  writeFileSync(
    join(folder, 'modprobe'),
    `#!/bin/sh
for word in "$@"; do printf '[%s]' "$word"; done >>${folder}/calls
echo >>${folder}/calls
case "$*" in *bad*) echo "modprobe: FATAL: Module bad not found in directory /lib/modules" >&2; exit 1;; *mute*) exit 3;; *hangs*) exec sleep 60;; esac
`,
    { mode: 0o755 },
  );
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const modules = (changes: { modprobe?: string; fitConfig?: string; patienceMs?: number } = {}) =>
  createKernelModules({ modprobe: join(folder, 'modprobe'), proc: folder, fitConfig: '', ...changes });
const calls = (): string[] => readFileSync(join(folder, 'calls'), 'utf8').trimEnd().split('\n');
const plain = (name: string) => ({ name, options: [] });

describe('lxc.kernelModules', () => {
  it('loads in order, every option a word of its own, and stops at the first that fails', async () => {
    const first = { name: 'one', options: ['a=1', 'b=$(reboot);`x`'] };
    assert.equal(await modules().load([first, plain('two')]), undefined);
    assert.deepEqual(await modules().load([plain('bad'), plain('three')]), {
      module: 'bad',
      reason: 'Module bad not found in directory /lib/modules',
    });
    assert.deepEqual(calls(), ['[one][a=1][b=$(reboot);`x`]', '[two]', '[bad]']);
  });

  it('unloads the last first', async () => {
    assert.equal(await modules().unload(['one', 'two']), undefined);
    assert.deepEqual(calls(), ['[-r][two]', '[-r][one]']);
  });

  it('says how a modprobe ended that says nothing, and where there is none', async () => {
    assert.match((await modules().load([plain('mute')]))?.reason ?? '', /exit code 3/);
    assert.match((await modules({ modprobe: '/nowhere/modprobe' }).load([plain('x')]))?.reason ?? '', /install kmod/);
  });

  it('gives up on a module that hangs, and on those after it', async () => {
    const failed = await modules({ patienceMs: 3_000 }).load([plain('one'), plain('hangs'), plain('two')]);
    assert.equal(failed?.module, 'hangs');
    assert.match(failed?.reason ?? '', /took longer/);
    assert.deepEqual(calls(), ['[one]', '[hangs]']);
  });

  it('lists what the kernel has loaded, and nothing for a kernel without modules', () => {
    assert.deepEqual(modules().loaded(), []);
    writeFileSync(join(folder, 'modules'), 'btbcm 20480 1 hci_uart, Live 0x0\nhci_uart 1 0 - Live 0x0\n');
    assert.deepEqual(modules().loaded(), ['btbcm', 'hci_uart']);
  });

  it('tells the board’s device tree and overlays', () => {
    assert.deepEqual(modules().board(), { deviceTrees: [], overlays: [] });
    mkdirSync(join(folder, 'device-tree'));
    writeFileSync(join(folder, 'device-tree/model'), 'Fine Board Rev 1\0');
    writeFileSync(join(folder, 'device-tree/compatible'), 'fine,board-1\0fine,soc\0');
    writeFileSync(join(folder, 'cmdline'), 'root=/dev/x overlays=can-hat,rtc quiet\n');
    assert.deepEqual(modules({ fitConfig: 'conf-fine.dtb#overlays_lcd.dtbo' }).board(), {
      deviceTrees: ['Fine Board Rev 1', 'fine,board-1', 'fine,soc', 'conf-fine.dtb'],
      overlays: ['overlays_lcd.dtbo', 'can-hat', 'rtc'],
    });
  });
});
