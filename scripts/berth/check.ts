// `berth check`: validates a state, a device.json, a storage folder, a source folder or a lease journal. Reads only.
import { statSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { checkJournal, type JournalCounts } from './check-journal.ts';
import { type Checked as CheckedDocuments, checkPath } from './check-path.ts';
import { asksForHelp, wrongWords } from './command-line.ts';

export const CHECK_USAGE = `usage: berth check FILE|DIR [--json]
       berth check --journal FILE [--json]

  FILE            a state JSON, or a device.json alone
  DIR             a storage folder (its current revision and the objects of it), or a source folder for berth pack
  --journal FILE  a lease journal, <storage>/ipam/leases.journal: what it holds, and damage as FILE@<byte offset>
  --json          {"ok", "problems": [{"path", "code", "message"}], "warnings": [...]} on stdout; "journal": counts

Exit codes: 0 without errors, 1 with any, 2 wrong use.`;

export async function check(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    console.log(CHECK_USAGE);
    return 0;
  }
  const options = parseOptions(argv);
  const checked: Checked | { readonly wrong: string } = 'wrong' in options ? options : await look(options);
  if ('wrong' in checked) {
    console.error(`berth check: ${checked.wrong}\nSee berth check --help.`);
    return 2;
  }
  if ('json' in options && options.json) printJson(checked);
  else printText(checked);
  return checked.problems.length === 0 ? 0 : 1;
}

type Checked = CheckedDocuments & { readonly counts?: JournalCounts | undefined };

interface Options {
  readonly path: string;
  readonly isJournal: boolean;
  readonly json: boolean;
}

async function look({ path, isJournal }: Options): Promise<Checked | { readonly wrong: string }> {
  if (!isJournal) return checkPath(path);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return { wrong: `${path}: no such file` };
  if (!found.isFile())
    return { wrong: `${path}: is no file; the journal of a storage is <storage>/ipam/leases.journal` };
  return checkJournal(path);
}

function parseOptions(argv: readonly string[]): Options | { readonly wrong: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, journal: { type: 'string' } },
    });
    const [path, ...rest] = values.journal === undefined ? positionals : [values.journal, ...positionals];
    if (path === undefined || path === '') return { wrong: 'name a file or a folder' };
    if (rest.length > 0) return { wrong: `one at a time: ${rest.join(' ')} is too much` };
    return { path, isJournal: values.journal !== undefined, json: values.json };
  } catch (error) {
    return { wrong: wrongWords(error) };
  }
}

function printJson({ problems, warnings, counts }: Checked): void {
  const journal = counts === undefined ? {} : { journal: counts };
  process.stdout.write(`${JSON.stringify({ ok: problems.length === 0, ...journal, problems, warnings })}\n`);
}

/** Errors are the answer, so they go to stdout; warnings beside it. */
function printText({ summary, problems, warnings, counts }: Checked): void {
  if (counts !== undefined) {
    console.log(
      `${counts.leases} leases, ${counts.pools} ${counts.pools === 1 ? 'pool' : 'pools'}, ${counts.released} released, ${counts.quarantined} never to be issued; ` +
        `${counts.records} records (${counts.superseded} superseded) in ${counts.bytes} bytes`,
    );
  }
  for (const { path, message } of warnings) console.error(`warning: ${path}: ${message}`);
  for (const { path, message } of problems) console.log(`${path}: ${message}`);
  if (problems.length === 0) console.log(`ok: ${summary}`);
  else console.error(`berth check: ${problems.length} ${problems.length === 1 ? 'error' : 'errors'} in ${summary}`);
}
