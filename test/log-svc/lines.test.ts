import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLineSplitter } from '../../services/log-svc/line-splitter.ts';
import type { LogMessage } from '../../services/log-svc/log-flow.ts';
import { messageLine } from '../../services/log-svc/message-line.ts';
import { parseServiceLine } from '../../services/log-svc/service-line.ts';

const message: LogMessage = {
  timeMs: Date.UTC(2026, 10, 21, 2, 0, 0, 123),
  level: 'INFO',
  origin: { kind: 'service', name: 'ipam-svc' },
  src: 'ipam',
  text: 'allocated 10.0.5.2/24 to my-app from pool internal',
  fields: {},
};

describe('log-svc.messageLine', () => {
  it('is what people grep for', () => {
    assert.equal(
      messageLine(message),
      '[2026-11-21T02:00:00.123Z] INFO  [ipam] allocated 10.0.5.2/24 to my-app from pool internal\n',
    );
  });

  it('puts fields behind the text, quoted where they need it', () => {
    const fields = { pool: 'internal', free: 253, why: 'no "free" one', list: [1, 'a b'], none: undefined, nil: null };
    assert.equal(
      messageLine({ ...message, level: 'ERROR', text: 'no', fields }),
      '[2026-11-21T02:00:00.123Z] ERROR [ipam] no pool=internal free=253 why="no \\"free\\" one" list=[1,"a b"] none=undefined nil=null\n',
    );
  });

  it('keeps a stack trace on one line, and a terminal unsteered', () => {
    const line = messageLine({ ...message, text: 'Error: x\n    at y\r\u001b[2J\u0085' });
    assert.ok(line.endsWith('Error: x\\n    at y\\r\\u001b[2J\\u0085\n'), line);
  });

  it('is one line whatever the message is', () => {
    const any = fc.record({
      timeMs: fc.integer({ min: 0, max: 8.64e15 }),
      level: fc.constantFrom('TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'),
      origin: fc.record({ kind: fc.constantFrom('service', 'container'), name: fc.string() }),
      src: fc.string(),
      text: fc.string({ unit: 'binary' }),
      fields: fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
    });
    fc.assert(
      fc.property(any, (one) => {
        const line = messageLine(one);
        assert.equal(line.indexOf('\n'), line.length - 1);
        assert.doesNotMatch(line.slice(0, -1), /(?!\t)[\p{Cc}\u2028\u2029]/u);
      }),
    );
  });
});

describe('log-svc.parseServiceLine', () => {
  it('reads what our logger writes', () => {
    const line = JSON.stringify({ level: 40, time: 5, src: 'net', msg: 'repaired', bridge: 'pvbr0' });
    const message = {
      timeMs: 5,
      level: 'WARN',
      origin: { kind: 'service', name: 'net-svc' },
      src: 'net',
      text: 'repaired',
      fields: { bridge: 'pvbr0' },
    };
    assert.deepEqual(parseServiceLine(line, 'net-svc', 9), [message]);
    for (let length = 1; length < line.length; length++) {
      const [half, whole, ...more] = parseServiceLine(`${line.slice(0, length)}${line}`, 'net-svc', 9);
      assert.equal(half?.text, line.slice(0, length));
      assert.deepEqual([whole, ...more], [message], 'and what stands right behind half a line');
    }
  });

  it('keeps as text what is no message, under the name of the pipe', () => {
    const outOfTime = JSON.stringify({ level: 30, time: 9e15, src: 'x', msg: 'y' });
    for (const line of ['Segmentation fault', '{"level":30', 'null', '[]', '{"level":"30","time":1}', outOfTime]) {
      const origin = { kind: 'service', name: 'net-svc' };
      const asText = { timeMs: 9, level: 'WARN', origin, src: 'net-svc', text: line, fields: {} };
      assert.deepEqual(parseServiceLine(line, 'net-svc', 9), [asText]);
    }
  });

  it('takes any line, and makes one that can be written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (line) => {
        for (const said of parseServiceLine(line, 'x', 0)) assert.ok(messageLine(said).endsWith('\n'));
      }),
    );
  });
});

describe('log-svc.lineSplitter', () => {
  it('finds the same lines wherever the stream is cut', () => {
    const lines = fc.array(fc.string({ minLength: 1 }).filter((line) => !line.includes('\n')));
    fc.assert(
      fc.property(lines, fc.array(fc.nat()), (expected, cuts) => {
        const stream = Buffer.from(expected.map((line) => `${line}\n`).join(''));
        const splitter = createLineSplitter(1024);
        const marks = [...cuts.map((cut) => cut % (stream.length + 1)), 0, stream.length].sort((a, b) => a - b);
        const found = marks.slice(1).flatMap((end, index) => splitter.push(stream.subarray(marks[index], end)));
        assert.deepEqual(found, expected);
        assert.equal(splitter.pendingBytes, 0);
      }),
    );
  });

  it('cuts a line at its bound, says by how much, and goes on after it', () => {
    const splitter = createLineSplitter(8);
    assert.deepEqual(splitter.push(Buffer.from('0123456')), []);
    assert.deepEqual(splitter.push(Buffer.from('789abc')), []);
    assert.equal(splitter.pendingBytes, 8);
    assert.deepEqual(splitter.push(Buffer.from('d\nnext\n')), ['01234567 … (6 bytes cut)', 'next']);
  });
});
