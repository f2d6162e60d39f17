// What requests are about: paths that exist, nearly exist or never should, and bodies from right to absurd.
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { Endpoint } from '../../services/ctl-svc/endpoint.ts';
import { COMMAND_OPS } from '../../shared/schema/steps.ts';
import type { Dice } from '../../test/kit/dice.ts';

const KNOWN: Readonly<Record<string, readonly [string, ...string[]]>> = {
  name: ['web', 'base', 'waits', 'nope', 'ctl-svc', 'ipam-svc'],
  container: ['web', 'asleep', 'nope'],
  pool: ['internal', 'nope'],
  key: ['a', 'web.key', 'pantavisor.uname', 'x'],
  rev: ['0', 'current', '7', 'locals'],
  rest: ['a', '..'],
  sha256: ['0'.repeat(64), 'F'.repeat(64), 'abc'],
};
const ODD: readonly [string, ...string[]] = [
  '/',
  '..',
  '%2e%2e',
  '..%2f..%2fetc%2fpasswd',
  '%00',
  'web%00',
  '%',
  '%zz',
  '%ff%fe',
  '%c0%ae',
  '.',
  '',
  '__proto__',
  'constructor',
  'toString',
  '%20',
  'a%0d%0aX:%20y',
  '%F0%9F%92%A9',
  "'%22<>",
  '{name}',
  '*',
  '~',
  'a'.repeat(65),
  'a'.repeat(300),
  '%61'.repeat(2000),
  '-1',
  '1e9',
  'null',
  'a;b',
  'a?b=c',
  '#x',
  '%2525',
];

/** The endpoint's path with its names filled in; at times with something around it. */
export function pathFor(pattern: string, die: Dice): string {
  const path = pattern.replaceAll(/\{([^}]+)\}/g, (_, name: string) =>
    die.below(4) === 0 ? die.pick(ODD) : die.pick(KNOWN[name] ?? ['x']),
  );
  switch (die.below(40)) {
    case 0:
      return `${path}/`;
    case 1:
      return `/${path}`;
    case 2:
      return `${path}?${'x=y&'.repeat(die.below(20))}`;
    case 3:
      return `http://localhost${path}`;
    case 4:
      return die.pick(ODD);
    case 5:
      return `${path}/${die.pick(ODD)}`;
    default:
      return path;
  }
}

/** Empty for endpoints that take none, mostly. */
export function bodyFor(endpoint: Endpoint, target: string, die: Dice): Buffer {
  if (endpoint.takes === 'none') return die.below(10) === 0 ? noise(die, 200) : Buffer.alloc(0);
  if (endpoint.takes === 'stream') return die.below(2) === 0 ? noise(die, 4_000) : Buffer.from(json(die));
  if (endpoint.bodySchema === undefined) return die.below(3) === 0 ? noise(die, 700) : Buffer.from(json(die));
  return die.below(2) === 0 ? Buffer.from(rightBody(target, die)) : wrongBody(die);
}

/** Where the body goes when it is to be what the path says. */
export function objectPath(body: Buffer): string {
  return `/objects/${createHash('sha256').update(body).digest('hex')}`;
}

function rightBody(target: string, die: Dice): string {
  if (target.startsWith('/signal')) return '{"type":"ready","payload":""}';
  if (target.startsWith('/commands')) {
    const op = COMMAND_OPS[die.below(COMMAND_OPS.length)];
    return JSON.stringify({ op, payload: die.pick(['0', '', 'locals/x', 'a message', 5, null]) });
  }
  return JSON.stringify({ action: die.pick(['start', 'stop', 'restart']) });
}

const ABSURD: readonly [string, ...string[]] = [
  ' ',
  '',
  '{',
  '}',
  'null',
  'true',
  '0',
  '-0',
  '1e999',
  '"',
  '""',
  '[]',
  '{}',
  '[[[[',
  '{"action":',
  'NaN',
  '\u0000',
  '{"action":null}',
  '{"action":1}',
  '{"action":["stop"]}',
  '{"action":{"a":1}}',
  '{"action":"explode"}',
  '{"type":7}',
  '{"type":"alive"}',
  '{"op":"X"}',
  '{"op":1}',
  '{"op":"RUN_GC","payload":{}}',
  '{"op":"LOCAL_RUN"}',
  '{"__proto__":{"action":"stop"}}',
  '{"constructor":{"prototype":{}}}',
  '{"action":"stop","action":"start"}',
  '\ufeff{"action":"stop"}',
  '{"action":"st\\ud800op"}',
  '{"action":"\\u0000"}',
  ' {"action":"stop"} x',
];

function wrongBody(die: Dice): Buffer {
  switch (die.below(8)) {
    case 0:
      return noise(die, 2_000);
    case 1:
      return Buffer.from('['.repeat(1 + die.below(20_000)));
    case 2:
      return Buffer.from(`{"action":"${'x'.repeat(die.below(4_000))}"}`);
    case 3:
      // Beyond what is taken into memory, now and then.
      return Buffer.from(`{"action":"${'y'.repeat(die.below(20) === 0 ? 70_000 : 100)}"}`);
    default:
      return Buffer.from(die.pick(ABSURD));
  }
}

function json(die: Dice): string {
  const depth = die.below(4);
  const leaf = (): unknown => die.pick([1, 'text', null, true, -1.5, '\u0000', '💩', '__proto__']);
  const value = (left: number): unknown =>
    left === 0 ? leaf() : die.below(2) === 0 ? [value(left - 1), leaf()] : { a: value(left - 1), '#spec': leaf() };
  return JSON.stringify(value(depth));
}

function noise(die: Dice, maxBytes: number): Buffer {
  return Buffer.from(Array.from({ length: die.below(maxBytes) }, () => die.below(256)));
}
