// zod/mini whose schemas are built when they are first used. The build puts it in the place of zod/mini in every bundle: a schema costs
// two kilobytes, a service declares hundreds of them with the contracts of its peers, and few are used in its life.
import * as zod from 'zod/mini';

/** A schema or check. What it is to be built of is let go of once it is built. */
interface Deferred {
  build: (() => object) | undefined;
  built: object | undefined;
  /** The members of an object that is not built yet: others are made of them without building it. */
  shape: unknown;
}

const DEFERRED = Symbol('deferred');

const handler: ProxyHandler<Deferred> = {
  get(deferred, key) {
    if (key === DEFERRED) return deferred;
    if (key === 'check') return (...checks: unknown[]) => defer(() => checked(deferred, checks));
    if (key === 'shape' && deferred.shape !== undefined) return deferred.shape;
    return Reflect.get(force(deferred), key);
  },
  has: (deferred, key) => key === DEFERRED || key in force(deferred),
};

function defer(build: () => object, shape?: unknown): object {
  return new Proxy({ build, built: undefined, shape }, handler);
}

function force(deferred: Deferred): object {
  if (deferred.build !== undefined) {
    deferred.built = deferred.build();
    deferred.build = undefined;
    deferred.shape = undefined;
  }
  return deferred.built ?? deferred;
}

function checked(deferred: Deferred, checks: readonly unknown[]): object {
  const schema = force(deferred);
  return Reflect.apply(Reflect.get(schema, 'check'), schema, checks.map(settled));
}

function isDeferred(value: object): value is { readonly [DEFERRED]: Deferred } {
  return DEFERRED in value;
}

/** zod itself is given only what it has made: the way through a schema that is built is as short as it always was. */
function settled(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof RegExp) return value;
  if (Array.isArray(value)) return value.map(settled);
  if (isDeferred(value)) return force(value[DEFERRED]);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, settled(member)]));
}

/** Any of zod's functions, each with parameters of its own. */
type Make = (...args: never[]) => object;
type LazyMake = (...args: unknown[]) => object;

const make = (zods: Make, args: readonly unknown[]): object => Reflect.apply(zods, undefined, args.map(settled));

/* @__NO_SIDE_EFFECTS__ */
function lazily(zods: Make): LazyMake {
  return (...args) => defer(() => make(zods, args));
}

/* @__NO_SIDE_EFFECTS__ */
function lazyObject(zods: Make): LazyMake {
  return (...args) => defer(() => make(zods, args), args[0]);
}

/** One for all who ask without parameters: schemas never change. */
/* @__NO_SIDE_EFFECTS__ */
function shared(zods: Make): LazyMake {
  let plain: object | undefined;
  return (...args) => {
    if (args.length > 0) return defer(() => make(zods, args));
    plain ??= defer(() => make(zods, args));
    return plain;
  };
}

export const object = lazyObject(zod.object);
export const strictObject = lazyObject(zod.strictObject);
export const looseObject = lazyObject(zod.looseObject);
export const string = shared(zod.string);
export const number = shared(zod.number);
export const int = shared(zod.int);
export const boolean = shared(zod.boolean);
export const unknown = shared(zod.unknown);
export const optional = lazily(zod.optional);
export const nullable = lazily(zod.nullable);
export const array = lazily(zod.array);
export const tuple = lazily(zod.tuple);
export const record = lazily(zod.record);
export const literal = lazily(zod.literal);
export const templateLiteral = lazily(zod.templateLiteral);
export const union = lazily(zod.union);
export const discriminatedUnion = lazily(zod.discriminatedUnion);
export const pipe = lazily(zod.pipe);
export const transform = lazily(zod.transform);
export const refine = lazily(zod.refine);
export const regex = lazily(zod.regex);
export const minimum = lazily(zod.minimum);
export const maximum = lazily(zod.maximum);
export const minLength = lazily(zod.minLength);
export const maxLength = lazily(zod.maxLength);
export const NEVER = zod.NEVER;

const lazyCatch = lazily(zod.catch);
const lazyDefault = lazily(zod._default);
const lazyEnum = lazily(zod.enum);
const lazyNull = shared(zod.null);
const lazyUndefined = shared(zod.undefined);

export { lazyCatch as catch, lazyDefault as _default, lazyEnum as enum, lazyNull as null, lazyUndefined as undefined };

export function toJSONSchema(schema: unknown, options: unknown): unknown {
  return Reflect.apply(zod.toJSONSchema, undefined, [settled(schema), options]);
}
