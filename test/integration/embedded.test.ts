// Berth as the device's own: who reboots the machine and powers it off, and what becomes of the hardware watchdog meanwhile.
// Files stand in for both.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { command } from '../kit/step.ts';
import { openTree, PATIENCE_MS, packExample, type Tree } from '../kit/tree.ts';

describe('integration.embedded', () => {
  let tree: Tree;
  beforeEach(async () => {
    tree = await openTree(packExample('20-data-only'));
    writeFileSync(device(), '');
    writeFileSync(script(), `#!/bin/sh\necho "$1" >> ${tree.sandbox.shared}/asked\n`);
    chmodSync(script(), 0o755);
    const settings = {
      BERTH_WATCHDOG: device(),
      PV_WDT_MODE: 'always',
      PV_WDT_TIMEOUT: '2',
      BERTH_REBOOT: `${script()} reboot`,
      BERTH_POWEROFF: `${script()} poweroff`,
    };
    tree.start([
      '--mode',
      'embedded',
      ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
    ]);
    await tree.up();
  });
  afterEach(() => tree.close());

  const device = (): string => join(tree.sandbox.shared, 'watchdog');
  const script = (): string => join(tree.sandbox.shared, 'ask-init');
  const written = (): string => readFileSync(device(), 'utf8').replaceAll('\0', '.');
  const asked = (): string => {
    const path = join(tree.sandbox.shared, 'asked');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  it('asks the init for a poweroff on POWEROFF_DEVICE, and leaves the watchdog to guard it', async () => {
    await command(tree.socket, 'POWEROFF_DEVICE', 'a test');
    assert.equal(await tree.ended(), 0);
    assert.equal(asked(), 'poweroff\n');
    assert.match(written(), /^\.+$/);
  });

  it('stops the containers and asks nobody when the init itself takes the machine down', async () => {
    assert.equal(await tree.endSupervisor('SIGPWR'), 0);
    assert.equal(asked(), '');
    assert.match(tree.output(), /stopping containers/);
    assert.match(written(), /^\.+$/);
  });

  it('closes the watchdog when it ends for an upgrade', async () => {
    await eventually('fed', PATIENCE_MS, () => written().length > 1);
    assert.equal(await tree.endSupervisor('SIGTERM'), 0);
    assert.match(written(), /^\.+V$/);
  });
});
