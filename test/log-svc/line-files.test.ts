// Files of whole lines that a kill, a full disk or a power cut left with half a line at their end.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { createFileTree } from '../../services/log-svc/file-tree.ts';
import { holdsLines } from '../../services/log-svc/line-files.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import { type LogFolder, openLogFolder } from '../../services/log-svc/log-folder.ts';
import { createSingleFile } from '../../services/log-svc/single-file.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { makePlace, type Place, readGenerations, retentionOf, rotatedFiles } from './log-rig.ts';

const FILE_BYTES = 64 * 1024;
const MIB = 1024 * 1024;

const message = (text: string, container?: string): LogMessage => ({
  timeMs: 0,
  level: 'INFO',
  origin: container === undefined ? { kind: 'service', name: 'ipam-svc' } : { kind: 'container', name: container },
  src: 'ipam',
  text,
  fields: {},
});

describe('log-svc.lineFiles', () => {
  let place: Place;
  let folder: LogFolder;
  let nowMs = 0;
  const open = (budgetBytes = FILE_BYTES * 20): void => {
    folder = openLogFolder({
      root: place.log(),
      retention: retentionOf(FILE_BYTES, budgetBytes),
      compressWorker: undefined,
      written: {},
      nowMs: () => (nowMs += 1_000),
      listener: {
        onLoss: () => undefined,
        onRecovered: () => undefined,
        onNote: () => undefined,
        onBegin: () => undefined,
      },
    });
    folder.openRevision('0');
  };
  const put = (file: string, text: string): string => {
    mkdirSync(dirname(place.log('0', file)), { recursive: true });
    appendFileSync(place.log('0', file), text);
    return place.log('0', file);
  };

  beforeEach(() => {
    place = makePlace();
  });
  afterEach(() => {
    folder.close();
    place.remove();
  });

  it('begins on a line of its own behind a torn one, which it cuts off', () => {
    const files = [put('pv.log', '{"msg":"o'), put('pantavisor/pantavisor.log', 'a\nto'), put('web/syslog/ipam', 'b')];
    open();
    for (const batch of [[message('ours')], [message('theirs', 'web')]]) {
      createFileTree(folder).messages(batch);
      createSingleFile(folder)(batch);
    }
    const [single = '', ours, theirs] = files.map((path) => readFileSync(path, 'utf8'));
    const said = single
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).msg);
    assert.deepEqual(said, ['ours', 'theirs']);
    assert.equal(ours, 'a\n[1970-01-01T00:00:00.000Z] INFO  [ipam] ours\n');
    assert.equal(theirs, '[1970-01-01T00:00:00.000Z] INFO  [ipam] theirs\n');
  });

  it('keeps every whole line, however long the torn one is', () => {
    open();
    const lines = fc.array(fc.integer({ min: 0, max: 9_000 }), {
      maxLength: 6,
    });
    let at = 0;
    fc.assert(
      fc.property(lines, fc.integer({ min: 0, max: 20_000 }), (lengths, tornBytes) => {
        const whole = lengths.map((length) => `${'x'.repeat(length)}\n`).join('');
        const container = `c${++at}`;
        const path = put(`${container}/syslog/app`, `${whole}${'t'.repeat(tornBytes)}`);
        folder.append(`${container}/syslog/app`, Buffer.from('next\n'));
        assert.equal(readFileSync(path, 'utf8'), `${whole}next\n`);
      }),
    );
  });

  it('ends what has no line for too long, and takes it for nobody’s of ours', () => {
    const foreign = 'x'.repeat(2 * MIB);
    const path = put('pv.log', foreign);
    open(FILE_BYTES * 2_000);
    folder.append('pv.log', Buffer.from('next\n'));
    assert.equal(readGenerations(path), `${foreign}\nnext\n`);
  });

  it('rotates no torn line: what nobody mends any more is whole', async () => {
    const path = put('web/syslog/app', `${'x'.repeat(FILE_BYTES)}\nto`);
    // Nobody has anything to say here: it is the budget that rotates it.
    open(FILE_BYTES);
    folder.refresh();
    await eventually('its rotation', PATIENCE_MS, () => !existsSync(path));
    assert.deepEqual(
      rotatedFiles(path).map((file) => statSync(file).size),
      [FILE_BYTES + 1],
    );
  });

  it('leaves what containers write as it is', () => {
    open();
    for (const text of ['login: ', 'root\n']) {
      createFileTree(folder).bytes({ container: 'web', source: 'console' }, Buffer.from(text));
      folder.refresh();
    }
    assert.equal(readFileSync(place.log('0/web/lxc/console.log'), 'utf8'), 'login: root\n');
    for (const file of ['web/lxc/lxc.log', 'web/syslog/a/b', 'web/var/pv.log', 'web/var/log/messages']) {
      assert.equal(holdsLines(file), false, file);
    }
  });

  it('counts the line that a full disk took half of, and does not keep the half', () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64K', 'tmpfs', place.storage]);
    try {
      open();
      const path = put('web/syslog/app', 'first\n');
      writeFileSync(place.log('0/ballast'), Buffer.alloc(15 * 4096));
      const lines = ['a', 'b', 'c'].map((letter) => `${letter.repeat(2_999)}\n`);
      folder.append('web/syslog/app', Buffer.from(lines.join('')));
      assert.match(folder.troubles()[0]?.message ?? '', /ENOSPC.*; 2 lines dropped so far/);
      rmSync(place.log('0/ballast'));
      folder.refresh();
      folder.append('web/syslog/app', Buffer.from('last\n'));
      assert.equal(readFileSync(path, 'utf8'), `first\n${lines[0]}last\n`);
    } finally {
      folder.close();
      execFileSync('umount', [place.storage]);
    }
  });
});
