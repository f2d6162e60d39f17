// The arguments of `npm run bench`, checked before anything runs.
import { parseArgs } from 'node:util';
import { reasonOf } from '../../shared/kernel/system-error.ts';

export interface BenchArguments {
  readonly names: readonly string[];
  readonly json: boolean;
  /** An earlier report. */
  readonly compare: string | undefined;
  /** Where the report goes, its chart beside it. */
  readonly out: string;
}

export const BENCH_USAGE = `usage: npm run bench [-- [--rows NAME...] [--compare FILE] [--out FILE] [--json]]

  --rows NAME...   only these groups of rows
  --compare FILE   an earlier report: what got slower since
  --out FILE       where the report goes (bench-results/latest.json); its chart goes beside it, as .svg
  --json           the report on stdout instead of a table`;

const STANDARD_OUT = 'bench-results/latest.json';

/** Answers the arguments, or what is wrong with them. `groups`: the names there are. */
export function parseBenchArguments(
  argv: readonly string[],
  groups: readonly string[],
): BenchArguments | { readonly wrong: string } {
  let values: { rows?: boolean; json?: boolean; compare?: string; out?: string };
  let positionals: string[];
  try {
    ({ values, positionals } = parseArgs({
      args: [...argv],
      options: {
        rows: { type: 'boolean' },
        json: { type: 'boolean' },
        compare: { type: 'string' },
        out: { type: 'string' },
      },
      allowPositionals: true,
    }));
  } catch (error) {
    return { wrong: reasonOf(error) };
  }
  const { rows = false, json = false, compare, out = STANDARD_OUT } = values;
  const unknown = positionals.filter((name) => !groups.includes(name));
  if (!rows && positionals.length > 0) return { wrong: `${positionals.join(' ')}: name rows after --rows` };
  if (unknown.length > 0) return { wrong: `no rows named ${unknown.join(', ')}; there are ${groups.join(', ')}` };
  if (rows && positionals.length === 0) return { wrong: `--rows needs a name: ${groups.join(', ')}` };
  if (!out.endsWith('.json')) return { wrong: `--out ${out}: must end in .json` };
  return { names: rows ? [...new Set(positionals)] : groups, json, compare, out };
}
