// The hardware watchdog over a file that stands in for the device: what is written to it, and what is told where it cannot be had.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Counted } from '../../services/supervisor/reboot-count.ts';
import { createWatchdog, type Watchdog, wayOut } from '../../services/supervisor/watchdog.ts';
import { PATIENCE_MS } from '../../services/supervisor/watchdog-plan.ts';
import { createSettings, findKey } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { eventually } from '../kit/eventually.ts';

const WAIT_MS = 20_000;

/** Of a descriptor of this process, undefined when it is closed meanwhile, as that which lists them. */
function targetOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}

describe('supervisor.watchdog', () => {
  let folder = '';
  let device = '';
  let watchdog: Watchdog | undefined;
  let nowMs = 0;
  let state = 'ready';
  let resets: string[] = [];
  let looks = 0;
  let answer: Counted;
  const lines: string[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-watchdog-'));
    device = join(folder, 'watchdog');
    writeFileSync(device, '');
    nowMs = 0;
    state = 'ready';
    resets = [];
    answer = { kind: 'counted' };
    lines.length = 0;
  });
  afterEach(() => {
    watchdog?.ended();
    rmSync(folder, { recursive: true });
  });

  const tell = (text: string): void => {
    lines.push(text);
  };
  const log: Logger = {
    trace: tell,
    debug: tell,
    info: tell,
    warn: tell,
    error: tell,
    fatal: tell,
    flush: () => undefined,
  };
  const make = (mode: string, machine: 'embedded' | 'appengine' = 'embedded'): Watchdog => {
    const values = { PV_WDT_MODE: mode, PV_WDT_TIMEOUT: '1', BERTH_WATCHDOG: device };
    const written = Object.entries(values).flatMap(([name, value]) => {
      const key = findKey(name);
      return key === undefined ? [] : [{ key, value, origin: 'command' as const }];
    });
    watchdog = createWatchdog({
      settings: createSettings(written).settings,
      mode: machine,
      log,
      vitals() {
        looks += 1;
        return [{ service: 'state-svc', state }];
      },
      countReset(cause) {
        resets.push(cause.message);
        return answer;
      },
      nowMs: () => nowMs,
    });
    return watchdog;
  };
  const written = (): string => readFileSync(device, 'utf8').replaceAll('\0', '.');
  const fed = (times: number) => eventually('fed', WAIT_MS, () => written().split('.').length > times);

  it('is fed while all is well, and closed with the magic character', async () => {
    const opened = make('always');
    opened.started();
    await fed(3);
    opened.ended();
    assert.match(written(), /^\.{3,}V$/);
    assert.deepEqual(opened.health(), []);
  });

  it('is left running when the machine goes down, fed for the last time', async () => {
    const opened = make('shutdown');
    opened.started();
    opened.up();
    assert.equal(written(), '');
    opened.machineEnds();
    await fed(2);
    state = 'backoff';
    nowMs = PATIENCE_MS * 2;
    const before = written();
    opened.ended();
    assert.equal(written(), `${before}.`);
  });

  it('is closed when all services are up, with startup', async () => {
    const opened = make('startup');
    opened.started();
    await fed(1);
    opened.up();
    assert.match(written(), /^\.+V$/);
  });

  it('is not fed for a critical service that does not come back, which counts as a reboot', async () => {
    const opened = make('always');
    opened.started();
    await fed(1);
    state = 'backoff';
    // The first look sees it down, and a later one that it stayed so.
    await fed(written().length + 2);
    nowMs = PATIENCE_MS + 1;
    await eventually('given up', WAIT_MS, () => resets.length > 0);
    const before = written();
    await eventually('told', WAIT_MS, () => lines.some((line) => line.includes('the machine will be reset')));
    assert.equal(written(), before);
    assert.deepEqual(resets, [`state-svc does not come back, so ${device} is not fed`]);
    state = 'ready';
    await fed(before.length + 1);
  });

  it('counts each time that a service does not come back, also the same one', async () => {
    const opened = make('always');
    opened.started();
    for (const time of [1, 2]) {
      state = 'backoff';
      await fed(written().length + 2);
      nowMs += PATIENCE_MS + 1;
      await eventually('given up', WAIT_MS, () => resets.length === time);
      state = 'ready';
      await fed(written().length + 2);
    }
  });

  it('is fed all the same when resets did not help before', async () => {
    answer = { kind: 'looped' };
    const opened = make('always');
    opened.started();
    state = 'backoff';
    await fed(2);
    nowMs = PATIENCE_MS + 1;
    await eventually('asked', WAIT_MS, () => resets.length > 0);
    await fed(written().length + 2);
    assert.equal(resets.length, 1);
  });

  it('is fed while a reset cannot be counted, and no more once it can', async () => {
    answer = { kind: 'uncounted', reason: 'ENOSPC' };
    const opened = make('always');
    opened.started();
    state = 'backoff';
    await fed(2);
    nowMs = PATIENCE_MS + 1;
    await eventually('asked', WAIT_MS, () => resets.length > 0);
    await fed(written().length + 2);
    answer = { kind: 'counted' };
    await eventually('told', WAIT_MS, () => lines.some((line) => line.includes('the machine will be reset')));
    assert.ok(resets.length > 1);
  });

  it('says that there is none, looks again, and guards when it comes', async () => {
    rmSync(device);
    const opened = make('always');
    opened.started();
    const [reason] = opened.health();
    assert.equal(reason?.code, 'WATCHDOG_UNAVAILABLE');
    assert.match(reason?.message ?? '', /cannot open .*watchdog \(ENOENT.*its driver loaded/);
    writeFileSync(device, '');
    nowMs += 60_000;
    await fed(1);
    assert.deepEqual(opened.health(), []);
  });

  it('gives one back that takes nothing any more before it asks for it again: a device is opened once at a time', async () => {
    // Takes nothing: ENOSPC with every write (full(4)).
    device = '/dev/full';
    const opened = make('always');
    const held = (): number => readdirSync('/proc/self/fd').filter((fd) => targetOf(fd) === device).length;
    opened.started();
    for (let times = 1; times <= 2; times += 1) {
      const before = looks;
      await eventually('it was tried again', WAIT_MS, () => looks > before + 1);
      assert.equal(held(), 0);
      assert.equal(opened.health()[0]?.code, 'WATCHDOG_UNAVAILABLE');
      nowMs += 1_000;
    }
    assert.equal(lines.length, 1, lines.join('\n'));
    opened.ended();
    assert.equal(held(), 0);
  });

  it('says who may hold it', () => {
    const held = Object.assign(new Error('EBUSY'), { code: 'EBUSY' });
    assert.match(wayOut(held, true), /RuntimeWatchdogSec/);
    assert.match(wayOut(held, false), /another program/);
    assert.match(wayOut(new Error('ENOENT'), true), /driver/);
  });

  it('leaves the device alone as a guest, and says so', () => {
    make('always', 'appengine').started();
    watchdog?.machineEnds();
    assert.equal(written(), '');
    assert.match(lines.join(), /PV_WDT_MODE always is for --mode embedded/);
  });
});
