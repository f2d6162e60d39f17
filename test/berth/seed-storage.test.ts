// The first revision of an empty storage: when it is made, when not, and after a cut at any moment.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_DEVICE } from '../../scripts/berth/default-device.ts';
import { parseRunOptions } from '../../scripts/berth/run-options.ts';
import { seeding, seedStorage } from '../../scripts/berth/seed-storage.ts';
import { parseState } from '../../shared/revision/validate.ts';

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'berth-seed-'));
  folders.push(path);
  return path;
}

/** Goes `count` steps and no further. True: it was at its end before. */
function cutAfter(storage: string, count: number): boolean {
  const steps = seeding(storage);
  for (let taken = 0; taken < count; taken += 1) if (steps.next().done === true) return true;
  return false;
}

function content(path: string): Record<string, string> {
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(path, name)).isFile(),
  );
  return Object.fromEntries(files.sort().map((name) => [name, readFileSync(join(path, name), 'utf8')]));
}

const wrongOf = (storage: string): string => {
  const options = parseRunOptions(['--storage', storage], {});
  return 'wrong' in options ? options.wrong : '';
};

describe('berth run on empty storage', () => {
  afterEach(() => {
    for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
  });

  it('makes a revision 0 that holds, with the default groups and the pool pvcnet', () => {
    const storage = folder();
    mkdirSync(join(storage, 'lost+found'));
    assert.equal(wrongOf(storage), '');
    assert.equal(seedStorage(storage), true);
    assert.deepEqual(readdirSync(storage).sort(), ['boot', 'lost+found', 'objects', 'trails']);
    assert.deepEqual(JSON.parse(readFileSync(join(storage, 'boot/current.json'), 'utf8')), { revision: '0' });
    const parsed = parseState(JSON.parse(readFileSync(join(storage, 'trails/0/.pvr/json'), 'utf8')), () => undefined);
    assert.ok(parsed.ok);
    assert.deepEqual(
      parsed.revision.groups.map(({ name }) => name),
      ['data', 'root', 'platform', 'app'],
    );
    assert.deepEqual(
      parsed.revision.pools.map(({ name, bridge }) => [name, bridge]),
      [['pvcnet', 'lxcbr0']],
    );
    assert.equal(wrongOf(storage), '');
  });

  it('is the default device: a container that names no group fares as without any', () => {
    const container = {
      'one/run.json': { '#spec': 'service-manifest-run@1', name: 'one', type: 'lxc', config: 'lxc.container.conf' },
      'one/lxc.container.conf': '0'.repeat(64),
      '#spec': 'pantavisor-service-system@1',
    };
    const read = (state: Record<string, unknown>) => {
      const parsed = parseState(state, () => 'lxc.init.cmd = /init\n');
      return parsed.ok
        ? [parsed.revision.groups, parsed.revision.containers.map(({ group }) => group)]
        : parsed.problems;
    };
    assert.deepEqual(read({ ...container, 'device.json': { groups: DEFAULT_DEVICE.groups } }), read(container));
  });

  it('leaves a folder alone that holds anything', () => {
    for (const name of ['trails', 'objects', 'photo.jpg', '.hidden']) {
      const storage = folder();
      mkdirSync(join(storage, name));
      assert.equal(seedStorage(storage), false);
      assert.deepEqual(readdirSync(storage), [name]);
    }
  });

  it('refuses a folder with something else in it, and one that is not there', () => {
    const storage = folder();
    writeFileSync(join(storage, 'letter.txt'), '');
    assert.match(wrongOf(storage), /holds no revision/);
    assert.match(wrongOf(join(storage, 'nowhere')), /no such folder; berth pack/);
  });

  it('is whole after cuts at any moments, and then never made again', () => {
    const whole = folder();
    seedStorage(whole);
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 4 }), (cuts) => {
        const storage = folder();
        for (const cut of cuts) cutAfter(storage, cut);
        assert.equal(wrongOf(storage), '');
        seedStorage(storage);
        assert.deepEqual(content(storage), content(whole));
        assert.deepEqual(readdirSync(storage).sort(), readdirSync(whole).sort());
        assert.equal(seedStorage(storage), false);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps what somebody packed between a cut and the next start', () => {
    for (let cut = 0; !cutAfter(folder(), cut); cut += 1) {
      const storage = folder();
      cutAfter(storage, cut);
      mkdirSync(join(storage, 'trails/5/.pvr'), { recursive: true });
      mkdirSync(join(storage, 'boot'), { recursive: true });
      const current = join(storage, 'boot/current.json');
      const had = existsSync(current) ? readFileSync(current, 'utf8') : '{"revision":"5"}';
      writeFileSync(current, had);
      seedStorage(storage);
      assert.ok(existsSync(join(storage, 'trails/5/.pvr')));
      assert.equal(readFileSync(current, 'utf8'), had);
      assert.deepEqual(
        readdirSync(storage).filter((name) => name.startsWith('.')),
        [],
      );
    }
  });
});
