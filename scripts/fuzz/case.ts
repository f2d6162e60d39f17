// One fuzzed request: what is sent, on which socket and how it ends, drawn from a seed. The same seed and number make the same bytes.
import { Buffer } from 'node:buffer';
import { ENDPOINTS } from '../../services/ctl-svc/endpoints.ts';
import { type Dice, dice } from '../../test/kit/dice.ts';
import { bodyFor, objectPath, pathFor } from './content.ts';
import { damaged, framed, headersFor, type Message } from './message.ts';

export const SOCKETS = ['host', 'mgmt', 'plain'] as const;

export interface FuzzCase {
  readonly number: number;
  /** How many were written into it. */
  readonly requests: number;
  readonly socket: (typeof SOCKETS)[number];
  /** Written one after the other, each when the one before has gone. */
  readonly pieces: readonly Buffer[];
  /** `half`: the client says that no more follows, and reads. `abrupt`: it is gone. */
  readonly end: 'half' | 'abrupt';
  /** Requests that were written as they should be, in order; undefined where bytes were damaged. */
  readonly sent: readonly { readonly method: string; readonly target: string }[] | undefined;
}

/** Of 100 requests. */
const CHANCE = { damage: 10, abrupt: 5, pipeline: 8, otherMethod: 10, otherVersion: 3 };
const METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'CONNECT', 'TRACE', 'get', 'X'] as const;
const VERSIONS = ['HTTP/1.0', 'HTTP/2.0', 'HTTP/9', 'HTTP/1.1 ', ''] as const;
const MAX_PIPELINED = 12;
const MAX_PIECES = 4;

/** Seeds that are near each other are no problem for the mixing of dice(). */
export function fuzzCase(seed: number, number: number): FuzzCase {
  const die = dice(Math.imul(seed, 0x9e3779b1) + number);
  const chance = (percent: number): boolean => die.below(100) < percent;
  const count = chance(CHANCE.pipeline) ? 2 + die.below(MAX_PIPELINED - 1) : 1;
  const messages = Array.from({ length: count }, () => message(die, chance));
  const whole = Buffer.concat(messages.map(({ bytes }) => bytes));
  const broken = chance(CHANCE.damage);
  const regular = !broken && messages.every((each) => each.regular);
  return {
    number,
    requests: count,
    socket: die.pick(SOCKETS),
    pieces: cut(broken ? damaged(die, whole) : whole, die),
    end: chance(CHANCE.abrupt) ? 'abrupt' : 'half',
    sent: regular ? messages.map(({ method, target }) => ({ method, target })) : undefined,
  };
}

function message(die: Dice, chance: (percent: number) => boolean): Message {
  const endpoint = ENDPOINTS[die.below(ENDPOINTS.length)];
  if (endpoint === undefined) throw new Error('there are no endpoints');
  const wrongMethod = chance(CHANCE.otherMethod);
  const version = chance(CHANCE.otherVersion) ? die.pick(VERSIONS) : 'HTTP/1.1';
  const method = wrongMethod ? die.pick(METHODS) : endpoint.method;
  const path = pathFor(endpoint.path, die);
  const body = bodyFor(endpoint, path, die);
  const stores = endpoint.takes === 'stream' && endpoint.path.startsWith('/objects/') && chance(50);
  const target = stores ? objectPath(body) : path;
  return framed({ method, target, version, body, headers: headersFor(die) }, die);
}

function cut(bytes: Buffer, die: Dice): readonly Buffer[] {
  const cuts = Array.from({ length: die.below(MAX_PIECES) }, () => die.below(bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...cuts].map((from, index) => bytes.subarray(from, cuts[index] ?? bytes.length));
}
