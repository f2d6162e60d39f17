// Every schema of every contract as JSON Schema, some answers of the schemas that have none, and how many schemas were built before
// anybody used one.
let built = 0;
// zod's own hook for tools that look at each schema as it is made.
Reflect.set(globalThis, '__zod_globalConfig', {
  postProcessor: () => {
    built += 1;
  },
});

const z = await import('zod/mini');
const { ALL_CONTRACTS } = await import('../../services/supervisor/contracts.ts');
const builtAtRest = built;

const schemas = Object.fromEntries(
  ALL_CONTRACTS.flatMap(({ service, requests, events }) => [
    ...Object.entries(requests).flatMap(([name, { params, result }]) => [
      [`${service}.${name} params`, z.toJSONSchema(params, { io: 'input', unrepresentable: 'any' })],
      [`${service}.${name} result`, z.toJSONSchema(result, { io: 'input', unrepresentable: 'any' })],
    ]),
    ...Object.entries(events).map(([name, { payload }]) => [
      `${service}.${name}`,
      z.toJSONSchema(payload, { io: 'input', unrepresentable: 'any' }),
    ]),
  ]),
);

const even = z.pipe(
  z.string().check(z.regex(/^\d+$/)),
  z.transform((text, context) => {
    const value = Number(text);
    if (value % 2 === 0) return value;
    context.issues.push({ code: 'custom', message: 'odd', input: text });
    return z.NEVER;
  }),
);
const shared = z.string();
const row = z.strictObject({ name: shared.check(z.maxLength(3)), also: shared, size: z._default(z.int(), 4) });
const wider = z.object({ ...row.shape, more: z.optional(z.array(row).check(z.minLength(1))) });
const either = z.looseObject({ level: z.catch(z.optional(z.string()), undefined) });
const samples: readonly unknown[] = [
  either.safeParse({ level: 1 }),
  even.safeParse('12').data,
  even.safeParse('13').error?.issues,
  even.safeParse('x').error?.issues,
  row.safeParse({ name: 'abcd', also: 'abcd' }).error?.issues,
  row.safeParse({ name: 'abc', also: 'abcd' }).data,
  wider.safeParse({ name: 'abc', also: '', more: [{ name: 'a', also: '', size: 1 }], size: 2, unknown: 3 }).data,
  wider.safeParse({ name: 'abc', also: '', more: [] }).error?.issues,
  row.shape.name.safeParse('abcd').success,
  z.enum(['a', 'b']).options,
];

console.log(JSON.stringify({ builtAtRest, schemas, samples }));
