// bsp/drivers.json and the drivers that containers name: read, held against each other, and resolved for a board.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { boardDrivers, driverLines, isLoaded, moduleOf } from '../../shared/revision/driver-modules.ts';
import { container, parse, problems, revisionOf, state, warnings } from './states.ts';

const DRIVERS = {
  '#spec': 'driver-aliases@1',
  all: { wifi: ['iwlwifi $' + '{user-meta:drivers.iwlwifi.opts}'], bluetooth: ['btbcm', 'hci_uart'] },
  'dtb:broadcom/bcm2711-rpi-4-b.dtb': { wifi: ['cfg80211', 'brcmfmac'] },
  'dtb:Fine Board Rev 1': { wifi: ['finewifi'] },
  'dtb:all': {},
  'ovl:can-hat': { can: ['mcp251x'], wifi: ['hatwifi'] },
  'ovl:second': { can: ['second_can'] },
};
const NO_BOARD = { deviceTrees: [], overlays: [] };
const sections = revisionOf(state({ 'bsp/drivers.json': DRIVERS })).drivers;

describe('driversDocument', () => {
  it('takes a line of a module that is as long as the kernel’s own, and none that is longer', () => {
    const options = (length: number) =>
      state({ 'bsp/drivers.json': { ...DRIVERS, all: { wifi: [`m ${'x'.repeat(length - 2)}`] } } });
    assert.deepEqual(problems(options(4096)), []);
    assert.deepEqual(problems(options(4097)), ['bsp/drivers.json.all.wifi.0 BAD_VALUE']);
  });

  it('names the path of what cannot be a module', () => {
    const bad = {
      all: { wifi: ['-r x'], ok: ['a b=1'], 'a/b': [] },
      'dtb:x': { can: 'vcan' },
      'ovl:y': { can: ['x $' + '{user-meta:}'] },
    };
    assert.deepEqual(problems(state({ 'bsp/drivers.json': bad })), [
      'bsp/drivers.json.all.wifi.0 BAD_VALUE',
      'bsp/drivers.json.all.a/b BAD_VALUE',
      'bsp/drivers.json.dtb:x.can BAD_TYPE',
      'bsp/drivers.json.ovl:y.can.0 BAD_VALUE',
    ]);
    assert.deepEqual(problems(state({ 'bsp/drivers.json': { '#spec': 'x' } })), ['bsp/drivers.json.#spec BAD_VALUE']);
  });

  it('keeps and ignores keys that it does not know', () => {
    const revision = revisionOf(state({ 'bsp/drivers.json': { ...DRIVERS, later: 1 } }));
    assert.deepEqual(revision.ignored, ['bsp/drivers.json.later']);
    assert.equal(revision.drivers.length, 6);
  });
});

describe('drivers of a container', () => {
  const needs = (drivers: object) => container('app', { group: 'app', drivers });
  const bsp = { 'bsp/drivers.json': DRIVERS };

  it('are problems when they are required and unknown, warnings otherwise', () => {
    const unknown = needs({ required: ['wifi', 'gone'], optional: ['wifi', 'lost'], manual: ['off'] });
    const parsed = parse(state(unknown, bsp));
    assert.deepEqual(parsed.ok ? [] : parsed.problems.map(({ path, code }) => `${path} ${code}`), [
      'app/run.json.drivers.required.1 UNKNOWN_DRIVER',
    ]);
    assert.match(parsed.ok ? '' : (parsed.problems[0]?.message ?? ''), /'gone'.*there are: wifi, bluetooth, can$/);
    assert.deepEqual(warnings(state(needs({ optional: ['wifi', 'lost'], manual: ['off'] }), bsp)), [
      'app/run.json.drivers.optional.1 UNKNOWN_DRIVER',
      'app/run.json.drivers.manual.0 UNKNOWN_DRIVER',
    ]);
    assert.deepEqual(problems(state(needs({ required: ['wifi'] }))), [
      'app/run.json.drivers.required.0 UNKNOWN_DRIVER',
    ]);
  });

  it('are told of a board with many of them by the first ones', () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`driver-${at}`, []]));
    const parsed = parse(state(needs({ required: ['gone'] }), { 'bsp/drivers.json': { ...DRIVERS, all: many } }));
    assert.match(
      parsed.ok ? '' : (parsed.problems[0]?.message ?? ''),
      /there are: driver-0, (driver-\d+, ){30}driver-31$/,
    );
  });

  it('are refused when they are no names', () => {
    assert.deepEqual(problems(state(needs({ required: ['../x', 3] }), bsp)), [
      'app/run.json.drivers.required.0 BAD_VALUE',
      'app/run.json.drivers.required.1 BAD_TYPE',
    ]);
  });

  it('are part of the plan, without a word when all is well', () => {
    const revision = revisionOf(state(needs({ required: ['wifi'], manual: ['can'] }), bsp));
    assert.deepEqual(revision.containers[0]?.drivers, { required: ['wifi'], optional: [], manual: ['can'] });
    assert.deepEqual(warnings(state(needs({ required: ['wifi'] }), bsp)), []);
  });
});

describe('driverLines', () => {
  const lines = (driver: string, deviceTrees: string[] = [], overlays: string[] = []) =>
    driverLines(sections, { deviceTrees, overlays }, driver);

  it('are those of all boards where nothing more special is said', () => {
    assert.deepEqual(lines('bluetooth'), ['btbcm', 'hci_uart']);
    assert.equal(lines('can'), undefined);
    assert.equal(lines('nosuch'), undefined);
  });

  it('are those of the device tree by its model, its file, and what boot loaders make of that', () => {
    assert.deepEqual(lines('wifi', ['Fine Board Rev 1']), ['finewifi']);
    for (const name of [
      'broadcom/bcm2711-rpi-4-b.dtb',
      'conf-broadcom_bcm2711-rpi-4-b.dtb',
      'BROADCOM/bcm2711-rpi-4-b',
    ]) {
      assert.deepEqual(lines('wifi', ['Other', name]), ['cfg80211', 'brcmfmac'], name);
    }
    assert.deepEqual(lines('bluetooth', ['Fine Board Rev 1']), ['btbcm', 'hci_uart']);
  });

  it('are those of an overlay before anything else, and of several all', () => {
    assert.deepEqual(lines('wifi', ['Fine Board Rev 1'], ['can-hat']), ['hatwifi']);
    assert.deepEqual(lines('can', [], ['second', 'overlays/can-hat.dtbo', 'can-hat']), ['mcp251x', 'second_can']);
  });

  it('make up what a board has', () => {
    assert.deepEqual(boardDrivers(sections, NO_BOARD), ['wifi', 'bluetooth']);
    assert.deepEqual(boardDrivers(sections, { ...NO_BOARD, overlays: ['second'] }), ['wifi', 'bluetooth', 'can']);
  });

  it('takes dtb:all for every board', () => {
    const all = revisionOf(state({ 'bsp/drivers.json': { all: { x: ['a'] }, 'dtb:all': { x: ['b'] } } })).drivers;
    assert.deepEqual(driverLines(all, NO_BOARD, 'x'), ['b']);
  });
});

describe('moduleOf', () => {
  const USER = '$' + '{user-meta:opts}';
  const DEVICE = '$' + '{device-meta:opts}';
  const values: Readonly<Record<string, string>> = { 'user opts': ' a=1  b=2 ', 'device opts': 'd', 'user empty': '' };
  const expand = (line: string) => moduleOf(line, (kind, key) => values[`${kind} ${key}`]);

  it('parts options at blanks, also those of a value', () => {
    assert.deepEqual(expand(`iwlwifi x=1 ${USER}`), { name: 'iwlwifi', options: ['x=1', 'a=1', 'b=2'] });
    assert.deepEqual(expand(`mod p=${DEVICE},${DEVICE}`), { name: 'mod', options: ['p=d,d'] });
    assert.deepEqual(expand('  mod  '), { name: 'mod', options: [] });
  });

  it('leaves an option out whose value is not set', () => {
    assert.deepEqual(expand('mod a=$' + '{user-meta:nosuch} b=$' + '{user-meta:empty} c').options, ['c']);
  });

  it('never makes a module’s name of a value', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        assert.equal(moduleOf(`mod ${USER}`, () => value).name, 'mod');
      }),
    );
  });

  it('is loaded under the kernel’s spelling', () => {
    assert.ok(isLoaded('snd-usb-audio', new Set(['snd_usb_audio'])));
    assert.ok(!isLoaded('snd', new Set(['snd_usb_audio'])));
  });
});
