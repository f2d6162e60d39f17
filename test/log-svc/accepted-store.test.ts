import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openAcceptedStore } from '../../services/log-svc/accepted-store.ts';
import { makePlace, type Place } from './log-rig.ts';

describe('log-svc.acceptedStore', () => {
  let place: Place;
  let path: string;
  /** What a successor finds, whatever the predecessor was doing: it is not closed first. */
  const leftOver = (): string => {
    const store = openAcceptedStore(path);
    store.close();
    return store.leftOver.toString();
  };

  beforeEach(() => {
    place = makePlace();
    path = join(place.rundir, 'log', 'ipam-svc.accepted');
  });
  afterEach(() => place.remove());

  it('keeps what was accepted until it is finished, but for the line that is not complete', () => {
    const store = openAcceptedStore(path);
    store.accept(Buffer.from('one\ntwo\nthr'));
    assert.equal(leftOver(), 'one\ntwo\nthr');
    store.finish(3);
    assert.equal(leftOver(), 'thr');
    store.accept(Buffer.from('ee\n'));
    assert.equal(leftOver(), 'three\n');
    store.finish(0);
    assert.equal(leftOver(), '');
    store.close();
  });

  it('stays small however much passes through', () => {
    const store = openAcceptedStore(path);
    const chunk = Buffer.from(`${'x'.repeat(999)}\nabc`);
    for (let count = 0; count < 5_000; count++) {
      store.accept(chunk);
      store.finish(3);
    }
    assert.ok(statSync(path).size < 1.1 * 1024 * 1024);
    assert.equal(leftOver(), 'abc');
    store.close();
  });

  it('takes a file that is none of ours for empty', () => {
    for (const text of ['', 'x', 'not a number at all', '        999\nshort', '         -1\nshort']) {
      writeFileSync(path, text);
      assert.equal(leftOver(), '', JSON.stringify(text));
    }
  });

  it('lets lines pass where there is no place for it', () => {
    const store = openAcceptedStore(join(place.rundir, 'nowhere', 'x'));
    assert.equal(store.leftOver.length, 0);
    store.accept(Buffer.from('a\n'));
    store.finish(0);
    store.close();
  });
});
