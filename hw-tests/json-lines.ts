// What node:test tells, for machines: one line of JSON for each test, and one for each thing that a test told.
import type { TestEvent } from 'node:test/reporters';

export async function* jsonLines(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type === 'test:diagnostic') yield line({ told: event.data.message });
    if (event.type === 'test:fail') yield line({ ...fieldsOf(event.data), error: event.data.details.error.message });
    if (event.type === 'test:pass') yield line(fieldsOf(event.data));
  }
}

type Ended = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>['data'];

function fieldsOf({ name, nesting, skip, details }: Ended): object {
  const isSkipped = skip !== undefined && skip !== false;
  const result = isSkipped ? 'skipped' : 'error' in details ? 'failed' : 'passed';
  return {
    test: name,
    nesting,
    result,
    milliseconds: Math.round(details.duration_ms),
    ...(isSkipped ? { reason: skip } : {}),
  };
}

function line(fields: object): string {
  return `${JSON.stringify(fields)}\n`;
}
