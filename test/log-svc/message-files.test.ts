// Messages of containers by their source, whatever containers call themselves.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, truncateSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { WrittenPlace } from '../../services/log-svc/carried-bytes.ts';
import { createFileTree } from '../../services/log-svc/file-tree.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import { type LogFolder, openLogFolder } from '../../services/log-svc/log-folder.ts';
import { isMessageFile, MAX_SOURCES, messageFiles } from '../../services/log-svc/message-files.ts';
import { isPartName, parseRotatedName } from '../../services/log-svc/rotated-name.ts';
import { makePlace, type Place, readGenerations, readMessages, retentionOf } from './log-rig.ts';

const FILE_BYTES = 64 * 1024;
const message = (src: string, text = src): LogMessage => ({
  timeMs: 0,
  level: 'INFO',
  origin: { kind: 'container', name: 'web' },
  src,
  text,
  fields: {},
});
const fileOf = (src: string): string | undefined => [...messageFiles('web', [message(src)], []).keys()][0];

describe('log-svc.messageFiles', () => {
  let place: Place;
  let folder: LogFolder;
  const open = (written: Readonly<Record<string, WrittenPlace>> = {}, revision = '0') => {
    folder = openLogFolder({
      root: place.log(),
      retention: retentionOf(FILE_BYTES, FILE_BYTES * 100),
      compressWorker: undefined,
      written,
      listener: {
        onLoss: (path, reason) => assert.fail(`${path}: ${reason}`),
        onRecovered: () => undefined,
        onNote: () => undefined,
        onBegin: () => undefined,
      },
    });
    folder.openRevision(revision);
    return createFileTree(folder);
  };
  const sources = (revision = '0'): string[] => readdirSync(place.log(revision, 'web/syslog')).sort();

  beforeEach(() => {
    place = makePlace();
  });
  afterEach(() => {
    folder.close();
    place.remove();
  });

  it('are named like Pantavisor’s', () => {
    open();
    assert.equal(fileOf('sshd'), 'web/syslog/sshd');
    assert.equal(fileOf('/sshd/'), 'web/syslog/sshd');
    for (const src of ['', '..', '/', 'a/../b', '../sshd', 'a/..'])
      assert.equal(fileOf(src), 'web/syslog/unknown-src', src);
    assert.equal(fileOf('a/b'), 'web/syslog/a_b');
    assert.equal(fileOf('lxc/console.log'), 'web/syslog/lxc_console.log');
    assert.equal(fileOf('.sshd.gz.part'), 'web/syslog/_sshd.gz.part');
    assert.equal(fileOf('sshd.000001'), 'web/syslog/sshd.000001_');
    assert.equal(fileOf('a\n\u001b[1m b'), 'web/syslog/a___1m_b');
  });

  it('are files of a container’s own folder with any source', () => {
    open();
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 64 }), (src) => {
        const file = fileOf(src) ?? '';
        const name = file.slice('web/syslog/'.length);
        assert.ok(isMessageFile(file));
        assert.match(name, /^[\w+@:~-][\w.+@:~-]{0,70}$/);
        assert.ok(!isPartName(name) && parseRotatedName(name) === undefined);
      }),
    );
  });

  it('are no more than there is a bound to, and a restart does not forget the bound', () => {
    const all = Array.from({ length: 3 * MAX_SOURCES }, (_, index) => message(`source-${index}`));
    open().messages([message('daemon'), ...all.slice(0, MAX_SOURCES)]);
    folder.close();
    const tree = open();
    tree.messages([...all.slice(MAX_SOURCES), message('..'), message('daemon', 'again')]);
    assert.equal(sources().length, MAX_SOURCES + 2);
    assert.equal(readFileSync(place.log('0/web/syslog/daemon'), 'utf8').split('\n').length, 3);
    const text = readMessages(place.log('0/web'));
    for (const { src } of all) assert.equal(text.split(`[${src}]`).length, 2, src);
    folder.openRevision('1');
    tree.messages([message('new-in-1')]);
    assert.deepEqual(sources('1'), ['new-in-1']);
  });

  it('still have their name when the file of that name was rotated', () => {
    const tree = open();
    const text = 'x'.repeat(8_000);
    for (let count = 0; count < 20; count++) tree.messages([message('loud', text)]);
    assert.equal(readGenerations(place.log('0/web/syslog/loud')).split(text).length, 21);
  });

  it('stand beside a file of the container that has the name, which a kill does not repeat', () => {
    const root = { container: 'web', source: 'file:/app.log' } as const;
    let tree = open();
    tree.messages([message('app.log', 'before')]);
    tree.bytes(root, Buffer.from('one\ntw'));
    const written = folder.written();
    tree.messages([message('app.log', 'beside')]);
    tree.bytes(root, Buffer.from('o\nthree\n'));
    const path = place.log('0/web/syslog/app.log');
    truncateSync(path, readFileSync(path).length - 'hree\n'.length);
    folder.close();
    tree = open(written);
    tree.messages([message('app.log', 'after')]);
    tree.bytes(root, Buffer.from('o\nthree\n'));
    assert.match(readFileSync(path, 'utf8'), /^\[\S+ INFO {2}\[app\.log\] before\none\ntwo\nthree\n$/);
    assert.deepEqual(sources(), ['app.log', 'app.log_']);
    assert.match(readFileSync(`${path}_`, 'utf8'), /beside\n.*after\n$/);
  });
});
