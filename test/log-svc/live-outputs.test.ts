// Outputs that change while lines come, and how log-svc hears of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openLiveOutputs } from '../../services/log-svc/live-outputs.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import { logSettings } from '../../services/log-svc/log-settings.ts';
import { feedSettings } from '../../services/log-svc/settings-feed.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { createSettings, findKey, type Written } from '../../shared/config/settings.ts';
import { type Channel, ok } from '../../shared/ipc/contract.ts';
import { createMemoryBus, type MemoryBus } from '../../shared/ipc/memory-bus.ts';
import { silentLogger } from '../../shared/log/logger.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { CONTRACTS, makePlace, type Place } from './log-rig.ts';

const message = (text: string, level: LogMessage['level'] = 'INFO'): LogMessage => ({
  timeMs: 1_500.25,
  level,
  origin: { kind: 'service', name: 'ipam-svc' },
  src: 'ipam',
  text,
  fields: {},
});
const console_ = { container: 'web', source: 'console' } as const;

function settingsOf(set: Readonly<Record<string, string>>) {
  const written = Object.entries(set).map(([name, value]): Written => {
    return { key: findKey(name) ?? assert.fail(name), value, origin: 'user meta' };
  });
  return logSettings(createSettings(written).settings, () => undefined);
}

describe('log-svc.live outputs', () => {
  let place: Place;
  beforeEach(() => {
    place = makePlace();
  });
  afterEach(() => place.remove());

  it('change with the configuration between two messages, and keep what was written', () => {
    const listener = {
      onLoss: () => undefined,
      onRecovered: () => undefined,
      onNote: () => undefined,
      onBegin: () => undefined,
    };
    const places = {
      root: place.log(),
      compressWorker: undefined,
      stdoutFd: undefined,
      pending: {},
      written: {},
      listener,
    };
    const live = openLiveOutputs(settingsOf({}), places);
    live.openRevision('0');
    live.messages([message('first'), message('hidden', 'DEBUG')]);
    live.bytes(console_, Buffer.from('half a li'));
    live.change(settingsOf({ PV_LOG_SERVER_OUTPUTS: 'filetree,singlefile', PV_LOG_LEVEL: 'debug' }));
    live.messages([message('second', 'DEBUG')]);
    live.bytes(console_, Buffer.from('ne\n'));
    live.change(settingsOf({ PV_LOG_SERVER_OUTPUTS: 'stdout' }));
    live.messages([message('nowhere')]);
    const subjects = live.troubles().map(({ subject }) => subject);
    live.close();
    assert.deepEqual(subjects, ['stdout']);
    const lines = readFileSync(place.log('0/pantavisor/pantavisor.log'), 'utf8');
    assert.deepEqual(lines.match(/first|hidden|second|nowhere/g), ['first', 'second']);
    assert.equal(readFileSync(place.log('0/web/lxc/console.log'), 'utf8'), 'half a line\n');
    const single = readFileSync(place.log('0/pv.log'), 'utf8').trim().split('\n');
    assert.deepEqual(
      single.map((line) => JSON.parse(line).msg),
      ['second', 'ne'],
    );
  });
});

/** What is asked of state-svc here. */
const stateParts = { ...stateContract, requests: { listOverrides: stateContract.requests.listOverrides } };

describe('log-svc.settings feed', () => {
  let bus: MemoryBus;
  let stop: () => void;
  let overrides: { key: string; value: string }[];
  let applied: string[];
  const startState = (): Channel => {
    const state = bus.connect('state-svc');
    state.serve(stateParts, { listOverrides: () => ok({ overrides }) });
    state.ready();
    return state;
  };
  beforeEach(() => {
    bus = createMemoryBus([...CONTRACTS, stateParts]);
    overrides = [];
    applied = [];
  });
  afterEach(() => {
    stop();
    bus.close();
  });
  const start = (): void => {
    const channel = bus.connect('log-svc');
    stop = feedSettings(channel, silentLogger, (all) =>
      applied.push(all.map(({ key, value }) => `${key}=${value}`).join(' ')),
    );
    channel.ready();
  };
  const until = (count: number) => eventually(`${count} changes`, PATIENCE_MS, () => applied.length === count);

  it('asks at its start, also before state-svc is there, and takes what concerns logs', async () => {
    overrides = [
      { key: 'PV_LOG_LEVEL', value: 'debug' },
      { key: 'PV_STORAGE_GC_RESERVED', value: '7' },
    ];
    start();
    startState();
    await until(1);
    assert.deepEqual(applied, ['PV_LOG_LEVEL=debug']);
  });

  it('hears of changes, of those that concern logs, once each', async () => {
    start();
    const state = startState();
    const tell = (...all: { key: string; value: string }[]): void =>
      state.publish(stateContract, 'overridesChanged', { overrides: all });
    const level = { key: 'PV_LOG_LEVEL', value: 'debug' };
    tell(level);
    tell(level, { key: 'PV_STORAGE_GC_RESERVED', value: '7' });
    tell(level, { key: 'A_KEY_OF_ANOTHER_VERSION', value: '7' });
    tell();
    await until(2);
    assert.deepEqual(applied, ['PV_LOG_LEVEL=debug', '']);
  });
});
