import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { type ContainerTails, createContainerTails } from '../../services/log-svc/container-tails.ts';
import type { Followed } from '../../services/log-svc/cursor-store.ts';
import { makePlace, type Place } from './log-rig.ts';

const CONTAINERS = ['one', 'two', 'three'];

describe('log-svc.containerTails', () => {
  let place: Place;
  let tails: ContainerTails;
  let saves: Readonly<Record<string, Followed>>[];
  const rawOf = (container: string): string => join(place.rundir, 'lxc', container, 'lxc.log');
  const offsets = (save: Readonly<Record<string, Followed>> | undefined): (number | undefined)[] =>
    CONTAINERS.map((container) => save?.[rawOf(container)]?.cursor?.offset);

  beforeEach(() => {
    place = makePlace();
    saves = [];
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    tails = createContainerTails(
      {},
      (all) => saves.push(all) > 0,
      (line) => assert.fail(line),
      { isUsedUp: () => false, free: () => false },
    );
    tails.start({ messages: () => undefined, bytes: () => undefined });
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

  it('reads the rest when it stops, and lets go of all', () => {
    mock.timers.tick(1);
    appendFileSync(rawOf('one'), 'ended\n');
    tails.stop();
    assert.deepEqual(offsets(saves.at(-1)), [12, 6, 6]);
    assert.deepEqual(tails.containers(), []);
  });
});
