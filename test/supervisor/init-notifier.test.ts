// What the init that started Berth is told, over a datagram socket as systemd has one.
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { beatIntervalMs, createInitNotifier, type InitNotifier } from '../../services/supervisor/init-notifier.ts';
import { receiveWithDescriptors } from '../../shared/kernel/descriptor-passing.ts';
import { bindDatagram, unboundDatagramSocket } from '../../shared/kernel/unix-sockets.ts';
import { eventually } from '../kit/eventually.ts';

const PATIENCE_MS = 20_000;

describe('supervisor.initNotifier', () => {
  let folder = '';
  let fd = -1;
  let notifier: InitNotifier | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-notify-'));
    fd = unboundDatagramSocket();
    bindDatagram(fd, join(folder, 'notify'), 0o600);
  });
  afterEach(() => {
    notifier?.close();
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });

  const received = (): string | undefined => receiveWithDescriptors(fd, 200)?.bytes.toString();
  const environment = (more: Readonly<Record<string, string>> = {}) => ({
    NOTIFY_SOCKET: join(folder, 'notify'),
    ...more,
  });

  it('tells once that Berth is up, that it ends, and how long that may take', () => {
    notifier = createInitNotifier(environment(), 1);
    assert.equal(received(), undefined);
    notifier.up();
    notifier.up();
    notifier.stopping();
    notifier.extend(7_000);
    assert.deepEqual(
      [received(), received(), received(), received()],
      ['READY=1\nSTATUS=Up', 'STOPPING=1\nSTATUS=Ending', 'EXTEND_TIMEOUT_USEC=7000000', undefined],
    );
  });

  it('beats as long as its event loop turns, up or not', async () => {
    notifier = createInitNotifier(environment({ WATCHDOG_USEC: '20000', WATCHDOG_PID: '7' }), 7);
    for (let beats = 0; beats < 3; beats += 1) {
      assert.equal(await eventually('a beat', PATIENCE_MS, received), 'WATCHDOG=1');
    }
  });

  it('beats twice as often as the init waits, and not for a process that is not meant', () => {
    assert.equal(beatIntervalMs({ WATCHDOG_USEC: '30000000' }, 7), 15_000);
    assert.equal(beatIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, 7), undefined);
    assert.equal(beatIntervalMs({ WATCHDOG_USEC: 'soon' }, 7), undefined);
    assert.equal(beatIntervalMs({}, 7), undefined);
  });

  it('goes on where nobody listens', () => {
    notifier = createInitNotifier({ NOTIFY_SOCKET: join(folder, 'gone') }, 1);
    notifier.up();
    notifier.close();
    notifier = createInitNotifier({}, 1);
    notifier.up();
  });
});
