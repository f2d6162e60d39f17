// The real process gives back what it has read of consoles, and says so where there was no room for what they said.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, closeSync, mkdirSync, openSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createConsoleMemory } from '../../services/log-svc/console-memory.ts';
import { logContract } from '../../services/log-svc/contract.ts';
import { lxcContract } from '../../services/lxc-svc/contract.ts';
import { ok } from '../../shared/ipc/contract.ts';
import { resolveUid } from '../../shared/service/users.ts';
import { eventually } from '../kit/eventually.ts';
import { patient } from '../kit/patient.ts';
import { type LogTree, lxcHandlers, makeLogTree, makePlace, type Place, readGenerations } from './log-rig.ts';

const UID = resolveUid('berth-log');
const PATIENCE_MS = 30_000;
const KIB = 1024;
const LINE_BYTES = 64;
const MISSING = /some of it may be missing here: .* memory for consoles was full/;

describe('log-svc and the memory of consoles', () => {
  let place: Place;
  let tree: LogTree;
  let written = 0;
  const folder = (): string => join(place.rundir, 'lxc/.consoles');
  const raw = (container: string): string => join(folder(), container, 'console.log');
  const kept = (container: string): string => readGenerations(place.log('0', container, 'lxc/console.log'));
  const idsOf = (text: string): number[] => [...text.matchAll(/^line (\d+)\.+$/gm)].map(([, id]) => Number(id));
  const blocks = (container: string): number => statSync(raw(container)).blocks * 512;
  const pantavisorLog = (): string => place.log('0/pantavisor/pantavisor.log');
  const say = (container: string, bytes: number): void => {
    const lines = Array.from({ length: bytes / LINE_BYTES }, () => `line ${written++}`.padEnd(LINE_BYTES - 1, '.'));
    appendFileSync(raw(container), `${lines.join('\n')}\n`);
  };
  const heard = (container: string): Promise<unknown> => {
    const mark = `line ${written - 1}.`;
    return eventually('the last line', PATIENCE_MS, () => kept(container).includes(mark));
  };

  beforeEach(async () => {
    written = 0;
    place = makePlace(UID);
    mkdirSync(folder());
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0755', 'tmpfs', folder()]);
    tree = await makeLogTree(place);
    const containers = ['loud', 'quiet'].map((container) => {
      mkdirSync(dirname(raw(container)));
      writeFileSync(raw(container), '');
      chmodSync(raw(container), 0o660);
      chownSync(raw(container), 0, UID);
      return { container, revision: '0', mounted: true, logs: [{ source: 'console' as const, path: raw(container) }] };
    });
    const [state, lxc] = [tree.connect('state-svc'), tree.connect('lxc-svc')];
    state.ready();
    lxc.serve(
      lxcContract,
      lxcHandlers(() => ok({ containers })),
    );
    lxc.ready();
    open = async () => assert.ok((await state.client(patient(logContract)).openRevision({ revision: '0' })).ok);
  });
  let open: () => Promise<void>;
  afterEach(async () => {
    await tree.close();
    // Lazily: the process that was just killed may have files open there.
    execFileSync('umount', ['-l', folder()]);
    place.remove();
  });

  it('hears four times what there is room for, each line once, also when it is killed in between', async () => {
    let log = await tree.start();
    await open();
    for (let burst = 0; burst < 16; burst++) {
      say('loud', 256 * KIB);
      await heard('loud');
      if (burst % 5 !== 4) continue;
      await log.kill();
      log = await tree.start();
    }
    const ids = idsOf(kept('loud'));
    assert.equal(new Set(ids).size, written, 'none is missing');
    assert.equal(ids.length, written, 'none came twice: each was read and its cursor kept before the kill');
    await eventually('all but a little is given back', PATIENCE_MS, () => blocks('loud') <= 64 * KIB);
    assert.doesNotMatch(kept('loud'), MISSING);
  });

  it('says what may be missing when nobody has read for too long, and goes on', async () => {
    const first = await tree.start();
    await open();
    say('loud', 64 * KIB);
    say('quiet', KIB);
    await heard('quiet');
    await first.kill();
    const before = written;
    assert.throws(() => {
      for (;;) say('loud', 4 * KIB);
    }, /ENOSPC/);
    const fitted = written - (4 * KIB) / LINE_BYTES;
    await tree.start();
    await eventually('it is told', PATIENCE_MS, () => MISSING.test(kept('loud')));
    const ids = new Set(idsOf(kept('loud')));
    for (let id = before; id < fitted; id++) assert.ok(ids.has(id), `line ${id} of ${fitted}`);
    // It says so through its own pipe.
    await eventually('it is told in our log', PATIENCE_MS, () => MISSING.test(readGenerations(pantavisorLog())));
    say('quiet', KIB);
    await heard('quiet');
    await eventually('room again', PATIENCE_MS, () => blocks('loud') <= 64 * KIB);
    say('loud', 256 * KIB);
    await heard('loud');
  });
});

describe('createConsoleMemory', () => {
  it('keeps what it cannot give back, and says why, where native code cannot be loaded', async () => {
    const memory = createConsoleMemory('/run', () => Promise.reject(new Error('no addon for this machine')));
    const own = openSync(import.meta.filename, 'r');
    try {
      assert.equal(memory.free(own, 4096, 8192), false);
      await new Promise((resolve) => setImmediate(resolve));
      assert.throws(() => memory.free(own, 4096, 8192), /no addon for this machine/);
    } finally {
      closeSync(own);
    }
  });
});
