// `berth check`: validates a state, a device.json, a storage folder or a source folder. Reads only.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { type Checked, checkPath } from './check-path.ts';

export const CHECK_USAGE = `usage: berth check FILE|DIR [--json]

  FILE    a state JSON, or a device.json alone
  DIR     a storage folder (its current revision and the objects of it), or a source folder for berth pack
  --json  {"ok", "problems": [{"path", "code", "message"}], "warnings": [...]} on stdout

Exit codes: 0 without errors, 1 with any, 2 wrong use.`;

export async function check(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    console.log(CHECK_USAGE);
    return 0;
  }
  const options = parseOptions(argv);
  const checked = 'wrong' in options ? options : await checkPath(options.path);
  if ('wrong' in checked) {
    console.error(`berth check: ${checked.wrong}\nSee berth check --help.`);
    return 2;
  }
  if ('json' in options && options.json) printJson(checked);
  else printText(checked);
  return checked.problems.length === 0 ? 0 : 1;
}

function parseOptions(
  argv: readonly string[],
): { readonly path: string; readonly json: boolean } | { readonly wrong: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false } },
    });
    const [path, ...rest] = positionals;
    if (path === undefined) return { wrong: 'name a file or a folder' };
    if (rest.length > 0) return { wrong: `one at a time: ${rest.join(' ')} is too much` };
    return { path, json: values.json };
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) };
  }
}

function printJson({ problems, warnings }: Checked): void {
  process.stdout.write(`${JSON.stringify({ ok: problems.length === 0, problems, warnings })}\n`);
}

/** Errors are the answer, so they go to stdout; warnings beside it. */
function printText({ summary, problems, warnings }: Checked): void {
  for (const { path, message } of warnings) console.error(`warning: ${path}: ${message}`);
  for (const { path, message } of problems) console.log(`${path}: ${message}`);
  if (problems.length === 0) console.log(`ok: ${summary}`);
  else console.error(`berth check: ${problems.length} ${problems.length === 1 ? 'error' : 'errors'} in ${summary}`);
}
