// What a run of the bench found, as it is written to a file and read again to compare with.
import { readFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { reasonOf } from '../../shared/kernel/system-error.ts';

const row = z.object({
  name: z.string(),
  unit: z.string(),
  value: z.number(),
  baseline: z.optional(z.object({ name: z.string(), value: z.number() })),
  better: z.enum(['lower', 'higher']),
  goal: z.optional(z.string()),
});

const report = z.object({
  takenAt: z.string(),
  node: z.string(),
  processors: z.int(),
  /** Of the same work again and again, between the rows: how far the slow tries are from the middle one, as a part of it. */
  spread: z.number(),
  rows: z.array(row),
  missing: z.array(z.object({ name: z.string(), missing: z.string() })),
});
export type Report = z.output<typeof report>;

/** Answers the report, or what is wrong with the file. */
export function readReport(path: string): Report | { readonly wrong: string } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { wrong: `${path} cannot be read: ${reasonOf(error)}` };
  }
  return parseReport(text, path);
}

export function parseReport(text: string, path: string): Report | { readonly wrong: string } {
  const isNone = `${path} is no report of the bench; npm run bench writes one to bench-results/`;
  try {
    const parsed = report.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : { wrong: isNone };
  } catch {
    return { wrong: isNone };
  }
}
