// When cursors are saved, by how often: each time all of them are written.
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { type ContainerTails, createContainerTails } from '../../services/log-svc/container-tails.ts';
import type { Followed } from '../../services/log-svc/cursor-store.ts';
import type { ContainerLog } from '../../services/log-svc/log-flow.ts';
import { makePlace, type Place } from './log-rig.ts';

/** More than that is no longer than until cursors are saved. */
const SAVED_MS = 250;
const CONTAINERS = ['one', 'two', 'three'];

describe('log-svc.containerTails', () => {
  let place: Place;
  let tails: ContainerTails;
  let saves: Readonly<Record<string, Followed>>[];
  /** What is done where an output gets the first bytes of a log. */
  let onFirst: (log: ContainerLog) => void;
  const rawOf = (container: string): string => join(place.rundir, 'lxc', container, 'lxc.log');
  const offsets = (save: Readonly<Record<string, Followed>> | undefined): (number | undefined)[] =>
    CONTAINERS.map((container) => save?.[rawOf(container)]?.cursor?.offset);

  beforeEach(() => {
    place = makePlace();
    saves = [];
    onFirst = () => undefined;
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    tails = createContainerTails(
      {},
      (all) => saves.push(Object.fromEntries(all)) > 0,
      (line) => assert.fail(line),
      { isUsedUp: () => false, free: () => false },
      'info',
    );
    const begun = new Set<string>();
    tails.start({
      messages: () => undefined,
      bytes(log) {
        if (!begun.has(log.container)) onFirst(log);
        begun.add(log.container);
      },
    });
    for (const container of CONTAINERS) {
      mkdirSync(join(place.rundir, 'lxc', container));
      writeFileSync(rawOf(container), 'begun\n');
      tails.follow({ container, source: 'lxc' }, rawOf(container));
    }
  });
  afterEach(() => {
    tails.stop();
    mock.timers.reset();
    place.remove();
  });

  it('saves nothing of a file as laid down before an output has a place for it, and then nothing more at once', () => {
    onFirst = () => tails.keep();
    mock.timers.tick(1);
    assert.deepEqual(saves.map(offsets), [
      [0, undefined, undefined],
      [6, 0, undefined],
      [6, 6, 0],
    ]);
    mock.timers.tick(SAVED_MS);
    assert.deepEqual(saves.slice(3).map(offsets), [[6, 6, 6]]);
  });

  it('saves at once that it reads another file, when nobody did', () => {
    mock.timers.tick(1);
    assert.deepEqual(saves.map(offsets), [[6, 6, 6]]);
  });

  it('saves what is left of a container once before it lets go of it', () => {
    mock.timers.tick(1);
    tails.follow({ container: 'one', source: 'console' }, `${rawOf('one')}.console`);
    writeFileSync(`${rawOf('one')}.console`, 'hello\n');
    appendFileSync(rawOf('one'), 'ended\n');
    const { size } = statSync(rawOf('one'));
    saves = [];
    tails.unfollow('one');
    assert.deepEqual(saves.map(offsets), [[size, 6, 6]]);
    assert.equal(saves[0]?.[`${rawOf('one')}.console`]?.cursor?.offset, 6);
    mock.timers.tick(SAVED_MS);
    assert.equal(saves.length, 2);
  });

  it('reads the rest when it stops, and lets go of all', () => {
    mock.timers.tick(1);
    appendFileSync(rawOf('one'), 'ended\n');
    tails.stop();
    assert.deepEqual(offsets(saves.at(-1)), [12, 6, 6]);
    assert.deepEqual(tails.containers(), []);
  });
});
