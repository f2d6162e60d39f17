import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import {
  MAX_DATAGRAM_BYTES,
  MAX_SRC_LENGTH,
  MAX_TEXT_LENGTH,
  parseDatagram,
} from '../../services/log-svc/container-datagram.ts';
import { messageLine } from '../../services/log-svc/message-line.ts';

/** A context of its own can be ended in the middle. What takes time by its length is done in a second, by the square of it in hours. */
const PATIENCE_MS = 20_000;

const NOW = Date.UTC(2026, 10, 21, 14, 11, 0, 250);
const parse = (datagram: string | Buffer, length?: number) => {
  const bytes = Buffer.from(datagram);
  return parseDatagram(bytes, { container: 'web', nowMs: NOW, length: length ?? bytes.length });
};
const brief = (datagram: string | Buffer) => {
  const { level, src, text, fields } = parse(datagram);
  return [level, src, text, fields.pid];
};

describe('log-svc.parseDatagram', () => {
  it('reads RFC 3164 as C libraries and loggers write it', () => {
    assert.deepEqual(brief('<13>Nov 21 14:10:59 root: hello'), ['INFO', 'root', 'hello', undefined]);
    assert.deepEqual(brief('<27>Nov  1 14:10:59 tag[15089]: a: b'), ['ERROR', 'tag', 'a: b', 15089]);
    assert.deepEqual(brief('<13>Nov 21 14:10:59 vm tag: hello'), ['INFO', 'tag', 'hello', undefined]);
    assert.deepEqual(brief('<14>Nov 21 14:10:59 dhcpd[1]:eth0 up\n'), ['INFO', 'dhcpd', 'eth0 up', 1]);
    assert.deepEqual(brief('<14>no time, no tag\0'), ['INFO', 'unknown-app', 'no time, no tag', undefined]);
    assert.deepEqual(brief('<14>lost it: retrying'), ['INFO', 'unknown-app', 'lost it: retrying', undefined]);
    assert.deepEqual(brief('<30>2026-11-21T14:10:59.5+00:00 vm ntpd[7]: set'), ['INFO', 'ntpd', 'set', 7]);
  });

  it('reads RFC 5424, told by the 1 after the priority', () => {
    assert.deepEqual(brief('<34>1 2026-05-15T16:48:18Z host myapp 1234 - - Connection established'), [
      'ERROR',
      'myapp',
      'Connection established',
      1234,
    ]);
    assert.deepEqual(brief('<15>1 - - - - - [a@1 k="x\\"]y"][b@1] \ufefftext'), [
      'DEBUG',
      'unknown-app',
      'text',
      undefined,
    ]);
    assert.deepEqual(brief('<15>1 - - su - - -'), ['DEBUG', 'su', '', undefined]);
    assert.deepEqual(brief('<13>1st of all: x'), ['INFO', 'unknown-app', '1st of all: x', undefined]);
    assert.deepEqual(brief('<13>1 is not enough'), ['INFO', 'unknown-app', '1 is not enough', undefined]);
  });

  it('names the eight severities', () => {
    const levels = Array.from({ length: 8 }, (_, severity) => parse(`<${128 + severity}>x`).level);
    assert.deepEqual(levels, ['FATAL', 'FATAL', 'ERROR', 'ERROR', 'WARN', 'INFO', 'INFO', 'DEBUG']);
    assert.deepEqual(brief('<192>x'), ['INFO', 'unknown-app', '<192>x', undefined]);
  });

  it('believes a whole time near the arrival, to the fraction, and no other', () => {
    const at = (time: string): number => parse(`<13>1 ${time} - a - - - x`).timeMs;
    assert.equal(at('2026-11-21T15:10:59.123456+01:00'), Date.UTC(2026, 10, 21, 14, 10, 59, 123) + 0.456);
    assert.equal(at('2026-11-21T14:10:59Z'), Date.UTC(2026, 10, 21, 14, 10, 59));
    for (const other of [
      '-',
      '2026-11-21T14:10:59',
      '2025-11-21T14:10:59Z',
      '2026-11-21T14:12:00Z',
      '2026-99-21T14:10:59Z',
    ]) {
      assert.equal(at(other), NOW, other);
    }
    assert.equal(parse('<13>Nov 20 14:10:59 a: x').timeMs, NOW);
  });

  it('reads JSON of version 0, with defaults for what is missing', () => {
    const json = (value: object) => brief(JSON.stringify(value));
    assert.deepEqual(json({ version: '0', level: 'warn', src: 'app', message: 'hot' }), [
      'WARN',
      'app',
      'hot',
      undefined,
    ]);
    assert.deepEqual(json({ version: '0', message: 'x' }), ['INFO', 'unknown-app', 'x', undefined]);
    assert.deepEqual(json({ version: '0', level: 'LOUD', src: '', message: 'x' }), [
      'INFO',
      'unknown-app',
      'x',
      undefined,
    ]);
    assert.deepEqual(json({ version: 0, level: 'warn', src: 'app', message: 'hot' }), [
      'WARN',
      'app',
      'hot',
      undefined,
    ]);
    assert.deepEqual(json({ version: '0', level: 4, src: 'app', message: 'hot' }), ['INFO', 'app', 'hot', undefined]);
    for (const other of [
      '{"version":"1","message":"x"}',
      '{"version":1,"message":"x"}',
      '{"version":"0"}',
      '{"version":"0","message":7}',
      '{half',
      '{}',
    ]) {
      assert.deepEqual(brief(other), ['INFO', 'unknown-app', other, undefined]);
    }
  });

  it('reads the binary form of Pantavisor, with and without its mark, and believes no platform in it', () => {
    const int = (value: number): Buffer => Buffer.from(Int32Array.of(value).buffer);
    const binary = (kind: number, fields: string, length = fields.length) =>
      Buffer.concat([int(kind), int(length), Buffer.from(fields)]);
    const mark = Buffer.from([0, ...Buffer.from('pvlogv2'), 0xab, 0xc8]);
    const fields = '1\0other\0app/db\0it is late\n';
    for (const datagram of [
      binary(0, fields),
      binary(0, `${fields}behind`, fields.length),
      binary(0, fields, 5_000),
      Buffer.concat([mark, binary(1, fields)]),
      Buffer.concat([mark, binary(0, fields)]),
    ]) {
      assert.deepEqual(brief(datagram), ['ERROR', 'app/db', 'it is late', undefined]);
      assert.deepEqual(parse(datagram).origin, { kind: 'container', name: 'web' });
    }
    assert.deepEqual(brief(binary(0, '77\0p\0\0two\nlines')), ['INFO', 'unknown-app', 'two\nlines', undefined]);
    for (const other of [
      binary(256, '{"code":1}'),
      binary(1, fields),
      binary(0, '3\0p\0torn'),
      binary(0, fields, -1),
    ]) {
      assert.deepEqual(brief(other).slice(0, 2), ['INFO', 'unknown-app']);
    }
  });

  it('reads pairs, with quoted values and in any order', () => {
    assert.deepEqual(brief('level=DEBUG src=my-app message=hello'), ['DEBUG', 'my-app', 'hello', undefined]);
    assert.deepEqual(brief('message="a \\"b\\" \\\\c=d" level="error"\n'), [
      'ERROR',
      'unknown-app',
      'a "b" \\c=d',
      undefined,
    ]);
    assert.deepEqual(brief('message= src=x'), ['INFO', 'x', '', undefined]);
    for (const other of ['level=INFO src=x', 'xmessage=1', 'it said message=1', '']) {
      assert.deepEqual(brief(other), ['INFO', 'unknown-app', other, undefined]);
    }
  });

  it('reads level and source of pairs whatever else stands between them, and keeps that in the text', () => {
    const texts = [
      ['level=warn src=app message="hi" pid=7', 'hi pid=7'],
      ['at="half past" level=warn src=app message="hi"', 'at="half past" hi'],
      ['level=warn src=app message=hello  world', 'hello  world'],
      ['message=hello world level=warn src=app', 'hello world'],
      ['level = warn src = app message = "hi"', 'hi'],
      ['level=warn src=app message=a level=high src=b', 'a level=high src=b'],
      ['level=warn src=app message="cut of', 'cut of'],
      ['level=warn src=app message="a b"c', '"a b"c'],
      ['cause="level=fatal" level=warn src=app message=x', 'cause="level=fatal" x'],
    ];
    for (const [datagram = '', text] of texts) {
      assert.deepEqual(brief(datagram), ['WARN', 'app', text, undefined], datagram);
    }
  });

  it('knows the sender by the socket, whatever it says', () => {
    const { origin, src } = parse('{"version":"0","src":"../../pantavisor","plat":"db","origin":"db","message":"x"}');
    assert.deepEqual([origin, src], [{ kind: 'container', name: 'web' }, '../../pantavisor']);
  });

  it('says how much of a long one is cut', () => {
    assert.match(parse(`<13>a: ${'x'.repeat(MAX_TEXT_LENGTH)}yz`).text, /x … \(2 bytes cut\)$/);
    assert.match(parse('<13>a: x', 1_000).text, /^x … \(992 bytes cut\)$/);
  });

  it('takes no more time for a long run of line ends inside', () => {
    const datagram = `<14>a: ${'\n'.repeat(4 * 1024 * 1024)}x\r\n\0`;
    const { text } = runInNewContext('parse()', { parse: () => parse(datagram) }, { timeout: PATIENCE_MS });
    assert.match(text, /^\n+ … \(\d+ bytes cut\)$/);
  });

  it('never throws, is bounded, and makes one line of whatever comes', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '<13>',
        '<13>1 ',
        'Nov 21 14:10:59 ',
        '[',
        ']',
        '"',
        '\\',
        '- ',
        'message=',
        'src="',
        '{"version":"0"',
        '\n',
        '\0',
      ),
      fc.string({ minLength: 17_000, maxLength: 40_000 }),
    );
    const text = fc.array(part, { maxLength: 12 }).map((parts) => Buffer.from(parts.join('')));
    fc.assert(
      fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 4_000 }).map(Buffer.from)), fc.nat(), (bytes, more) => {
        const kept = bytes.subarray(0, MAX_DATAGRAM_BYTES);
        const message = parse(kept, bytes.length + more);
        assert.ok(message.src.length > 0 && message.src.length <= MAX_SRC_LENGTH);
        assert.ok(message.text.length <= MAX_TEXT_LENGTH + 40);
        assert.deepEqual(message.origin, { kind: 'container', name: 'web' });
        const line = messageLine(message);
        assert.equal(line.indexOf('\n'), line.length - 1);
        assert.doesNotMatch(line.slice(0, -1), /(?!\t)[\p{Cc}\u2028\u2029]/u);
      }),
      { numRuns: 300 },
    );
  });
});
