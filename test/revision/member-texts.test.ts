// The values of a JSON object as they are written.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { memberTexts } from '../../shared/revision/member-texts.ts';

const textsOf = (text: string): object => Object.fromEntries(memberTexts(text));

describe('memberTexts', () => {
  it('are what is written, to the digit', () => {
    const text = '\n{ "a" : {"big":12345678901234567890, "one": 1.0,\n "2":0,"1":0} ,"b":[1e2 ], "c":-0.0,"d":"x"}\n';
    assert.deepEqual(textsOf(text), {
      a: '{"big":12345678901234567890, "one": 1.0,\n "2":0,"1":0}',
      b: '[1e2 ]',
      c: '-0.0',
      d: '"x"',
    });
    assert.deepEqual(textsOf('{}'), {});
  });

  it('take keys as they are meant, and the last of those that are the same', () => {
    assert.deepEqual(textsOf('{"a":1,"\\u0061":2,"q\\"}":3,"s":"\\\\"}'), { a: '2', 'q"}': '3', s: '"\\\\"' });
  });

  it('mean what JSON.parse makes of the whole, whatever stands in it', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
        fc.nat({ max: 4 }),
        (object, indent) => {
          const text = JSON.stringify(object, undefined, indent);
          const read = [...memberTexts(text)].map(([key, value]): [string, unknown] => [key, JSON.parse(value)]);
          assert.deepEqual(read, Object.entries(JSON.parse(text)));
        },
      ),
    );
  });
});
