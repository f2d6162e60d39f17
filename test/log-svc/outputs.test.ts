import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { runInNewContext } from 'node:vm';
import { createLineCutter } from '../../services/log-svc/line-cutter.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import { logSettings } from '../../services/log-svc/log-settings.ts';
import { type Outputs, openOutputs } from '../../services/log-svc/outputs.ts';
import { createStdout } from '../../services/log-svc/stdout-output.ts';
import type { KeyName } from '../../shared/config/keys.ts';
import { createSettings, findKey } from '../../shared/config/settings.ts';
import { makePlace, type Place } from './log-rig.ts';

/** A context of its own can be ended in the middle. What takes time by the length of lines is done in a second, by the square of it in minutes. */
const PATIENCE_MS = 20_000;
const console_ = { container: 'web', source: 'console' } as const;
const message = (text: string, more: Partial<LogMessage> = {}): LogMessage => ({
  timeMs: 1_500.25,
  level: 'INFO',
  origin: { kind: 'service', name: 'ipam-svc' },
  src: 'ipam',
  text,
  fields: {},
  ...more,
});
const fromWeb = { origin: { kind: 'container', name: 'web' }, src: 'sshd' } as const;

function settingsOf(set: Readonly<Partial<Record<KeyName, string>>>, problems: string[] = []) {
  const written = Object.entries(set).map(([name, value]) => ({
    key: findKey(name) ?? assert.fail(name),
    value,
    origin: 'command' as const,
  }));
  return logSettings(createSettings(written).settings, (problem) => problems.push(problem));
}

describe('log-svc.outputs', () => {
  let place: Place;
  let outputs: Outputs;
  const open = (set: Readonly<Partial<Record<KeyName, string>>>, pending = {}): void => {
    outputs = openOutputs(settingsOf(set), {
      root: place.log(),
      compressWorker: undefined,
      written: {},
      stdoutFd: undefined,
      pending,
      listener: {
        onLoss: () => undefined,
        onRecovered: () => undefined,
        onNote: () => undefined,
        onBegin: () => undefined,
      },
    });
    outputs.openRevision('0');
  };
  const objects = () =>
    readFileSync(place.log('0/pv.log'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  beforeEach(() => {
    place = makePlace();
  });
  afterEach(() => {
    outputs.close();
    place.remove();
  });

  it('rotates a file at the bytes that are asked for', () => {
    open({ PV_LOG_MAXSIZE: '20000' });
    for (let line = 0; line < 3; line += 1) outputs.bytes(console_, Buffer.from(`${'x'.repeat(9_999)}\n`));
    assert.deepEqual(readdirSync(place.log('0/web/lxc')).sort(), ['console.log', 'console.log.000001']);
  });

  it('has everything in pv.log with Pantavisor’s keys, a line of a console as a line', () => {
    open({ PV_LOG_SERVER_OUTPUTS: 'singlefile' });
    outputs.messages([message('allocated', { fields: { pool: 'a b' } }), message('two\nlines', fromWeb)]);
    outputs.bytes(console_, Buffer.from('login: root\r\nuna'));
    outputs.bytes(console_, Buffer.from('me\n'));
    outputs.bytes({ container: 'web', source: 'file:/var/log/messages' }, Buffer.from('m\n'));
    const [ours, theirs, ...lines] = objects();
    assert.deepEqual(ours, {
      tsec: 1,
      tnano: 500250000,
      plat: 'pantavisor',
      lvl: 'INFO',
      src: 'ipam',
      msg: 'allocated pool="a b"',
    });
    assert.deepEqual([theirs.plat, theirs.src, theirs.msg], ['web', 'sshd', 'two\nlines']);
    assert.deepEqual(
      lines.map(({ plat, src, msg }) => [plat, src, msg]),
      [
        ['web', 'lxc/console.log', 'login: root'],
        ['web', 'lxc/console.log', 'uname'],
        ['web', '/var/log/messages', 'm'],
      ],
    );
    assert.ok(!existsSync(place.log('0/web')), 'no tree beside it');
  });

  it('has both at once, and neither with nullsink alone', () => {
    open({ PV_LOG_SERVER_OUTPUTS: 'filetree, singlefile' });
    outputs.bytes(console_, Buffer.from('a\n'));
    assert.equal(readFileSync(place.log('0/web/lxc/console.log'), 'utf8'), 'a\n');
    assert.equal(objects()[0].msg, 'a');
    outputs.close();
    place.remove();
    place = makePlace();
    open({ PV_LOG_SERVER_OUTPUTS: 'nullsink' });
    outputs.bytes(console_, Buffer.from('a\n'));
    outputs.messages([message('b')]);
    assert.ok(!existsSync(place.log('0')));
  });

  it('takes a beginning that nobody ends for a line after a while, and gives it out until then', () => {
    open({ PV_LOG_SERVER_OUTPUTS: 'singlefile' });
    outputs.bytes(console_, Buffer.from('prompt$ '));
    outputs.refresh();
    assert.deepEqual(outputs.pending(), { 'web console': Buffer.from('prompt$ ').toString('base64') });
    assert.ok(!existsSync(place.log('0/pv.log')));
    outputs.refresh();
    assert.equal(objects()[0].msg, 'prompt$ ');
    assert.deepEqual(outputs.pending(), {});
  });

  it('joins a line whose beginning an earlier life had', () => {
    open({ PV_LOG_SERVER_OUTPUTS: 'singlefile' }, { 'web console': Buffer.from('be').toString('base64') });
    assert.deepEqual(Object.keys(outputs.pending()), ['web console']);
    outputs.bytes(console_, Buffer.from('gun\n'));
    assert.equal(objects()[0].msg, 'begun');
  });

  it('leaves out messages below the level, and containers where they are not captured', () => {
    open({ PV_LOG_LEVEL: 'warn', PV_LOG_CAPTURE: '0' });
    outputs.messages([
      message('no'),
      message('yes', { level: 'ERROR' }),
      message('no', { ...fromWeb, level: 'FATAL' }),
    ]);
    outputs.bytes(console_, Buffer.from('no\n'));
    assert.match(readFileSync(place.log('0/pantavisor/pantavisor.log'), 'utf8'), /^\S+ ERROR \[ipam\] yes\n$/);
    assert.ok(!existsSync(place.log('0/web')));
  });

  it('leaves it to containers what is worth a line', () => {
    open({ PV_LOG_SERVER_OUTPUTS: 'singlefile', PV_LOG_LEVEL: 'error' });
    outputs.messages([message('quiet', { level: 'INFO' }), message('heard', { level: 'DEBUG', ...fromWeb })]);
    assert.deepEqual(
      objects().map(({ msg }) => msg),
      ['heard'],
    );
  });

  it('knows the level of what LXC says, where lines have one', () => {
    open({ PV_LOG_SERVER_OUTPUTS: 'filetree,singlefile' });
    const lxc =
      'lxc-start web 20261121142550.811 DEBUG    conf - a\nlxc-start web 20261121142550.811 ERROR    conf - b\n';
    outputs.bytes({ container: 'web', source: 'lxc' }, Buffer.from(lxc));
    assert.equal(readFileSync(place.log('0/web/lxc/lxc.log'), 'utf8'), lxc);
    assert.deepEqual(
      objects().map(({ lvl }) => lvl),
      ['DEBUG', 'ERROR'],
    );
  });

  it('writes times as the configuration asks for, each output its own', () => {
    open({
      PV_LOG_SERVER_OUTPUTS: 'filetree,singlefile',
      PV_LOG_FILETREE_TIMESTAMP_FORMAT: 'strftime:%s',
      PV_LOG_SINGLEFILE_TIMESTAMP_FORMAT: 'strftime:<%S>',
    });
    outputs.messages([message('a')]);
    assert.equal(readFileSync(place.log('0/pantavisor/pantavisor.log'), 'utf8'), '[1] INFO  [ipam] a\n');
    assert.equal(objects()[0].ts, '<01>');
  });

  it('says which time format means nothing, and has its own then', () => {
    const problems: string[] = [];
    const { formats } = settingsOf({ PV_LOG_STDOUT_TIMESTAMP_FORMAT: 'golang:RFC3339' }, problems);
    assert.equal(formats.stdout, undefined);
    assert.match(problems[0] ?? '', /PV_LOG_STDOUT_TIMESTAMP_FORMAT is 'golang:RFC3339'; it must be/);
  });
});

describe('log-svc.lineCutter', () => {
  it('forgets a source once its lines are whole: memory does not grow with containers that come and go', () => {
    const cutter = createLineCutter(() => undefined, {});
    for (let at = 0; at < 100; at++) cutter.bytes({ container: `c${at}`, source: 'console' }, Buffer.from('a\nb'));
    assert.equal(Object.keys(cutter.pending()).length, 100);
    cutter.finishOld();
    cutter.finishOld();
    assert.deepEqual(cutter.pending(), {});
  });

  it('takes no more time for lines with a long run of carriage returns inside', () => {
    const texts: string[] = [];
    const cutter = createLineCutter((batch) => texts.push(...batch.map(({ text }) => text)), {});
    const line = `${'\r'.repeat(16_000)}x`;
    const cut = () => cutter.bytes(console_, Buffer.from(`${line}\r\r\n`.repeat(1_000)));
    runInNewContext('cut()', { cut }, { timeout: PATIENCE_MS });
    assert.equal(texts.length, 1_000);
    assert.equal(new Set(texts).size, 1);
    assert.equal(texts[0], line);
  });
});

describe('log-svc.stdout', () => {
  const full = Object.assign(new Error('full'), { code: 'EAGAIN' });
  const closed = Object.assign(new Error('closed'), { code: 'EPIPE' });
  const rig = () => {
    const state = { text: '', room: Number.POSITIVE_INFINITY, error: full };
    const out = createStdout(1, (_fd, bytes) => {
      if (state.room === 0) throw state.error;
      const taken = bytes.subarray(0, state.room);
      state.room -= taken.length;
      state.text += taken.toString();
      return taken.length;
    });
    return { state, out };
  };

  it('names the container beside the source, and leaves no control character to it', () => {
    const { state, out } = rig();
    out.messages([message('a\u001b[2J', fromWeb), message('b')]);
    assert.equal(
      state.text,
      '[1970-01-01T00:00:01.500Z] INFO  [web] [sshd] a\\u001b[2J\n[1970-01-01T00:00:01.500Z] INFO  [pantavisor] [ipam] b\n',
    );
    out.close();
  });

  it('goes on in the middle of a line when there is room again', () => {
    const { state, out } = rig();
    state.room = 20;
    out.messages([message('a')]);
    assert.equal(state.text.length, 20);
    assert.deepEqual(out.troubles(), []);
    state.room = 1000;
    out.close();
    assert.match(state.text, / a\n$/);
  });

  it('keeps a bounded part for a reader who does not read, counts the rest, and says how many', () => {
    const { state, out } = rig();
    state.room = 0;
    const line = 'x'.repeat(1_000);
    for (let at = 0; at < 1_000; at++) out.messages([message(line)]);
    assert.match(out.troubles()[0]?.message ?? '', /nobody reads it; \d+ lines dropped/);
    state.room = Number.POSITIVE_INFINITY;
    out.close();
    assert.ok(state.text.length <= 300_000);
    const kept = state.text.match(/ x+\n/g)?.length ?? 0;
    assert.match(state.text, new RegExp(`dropped ${1_000 - kept} lines here: stdout was not read\\n$`));
    assert.deepEqual(out.troubles(), []);
  });

  it('outlives a reader who is gone', () => {
    const { state, out } = rig();
    state.room = 0;
    state.error = closed;
    out.messages([message('a')]);
    assert.match(out.troubles()[0]?.message ?? '', /stdout cannot be written: EPIPE/);
    out.close();
  });
});
