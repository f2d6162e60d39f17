// Writes the tables of README.md that follow from the contracts, and that of arguments in test/examples/README.md, between their markers; `--check` only says whether they are stale.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { ENDPOINTS } from '../services/ctl-svc/endpoints.ts';
import { ALL_CONTRACTS } from '../services/supervisor/contracts.ts';
import { KEYS, type Key } from '../shared/config/keys.ts';
import type { Contract } from '../shared/ipc/contract.ts';
import { MEANINGS } from './berth/pack-argument-meanings.ts';
import { ALLOWED } from './berth/pack-arguments.ts';
import { answerHelp, refuse } from './tests/usage.ts';

const ROOT = join(import.meta.dirname, '..');

const code = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(' ');
/** A placeholder in a text of the code would be a tag in Markdown, and not be seen. */
const prose = (text: string): string => text.replace(/\S*<\w+>\S*?(?=[.,;]?(?:\s|$))/g, (word) => code([word]));
const orNone = (text: string): string => (text === '' ? 'none' : text);

function callersOf({ requests }: Contract): string {
  return code([...new Set(Object.values(requests).flatMap(({ callers }) => callers))].sort());
}

function capabilitiesOf({ privileges }: Contract): string {
  const { capabilities, user } = privileges;
  if (capabilities.includes('all')) return 'all';
  if (user === 'root') return `${capabilities.length} of 41, see its contract`;
  return orNone(code(capabilities));
}

function servicesTable(): string {
  const rows = ALL_CONTRACTS.map((contract) => {
    const { service, privileges, files, job } = contract;
    const cells = [
      `\`${service}\``,
      prose(job),
      `\`${privileges.user}\``,
      capabilitiesOf(contract),
      orNone(code(files.owns)),
      orNone(callersOf(contract)),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return ['| service | job | user | capabilities | owns | called by |', '|---|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

/** The supervisor has all, being what gives them. */
function privilegesTable(): string {
  const rows = ALL_CONTRACTS.flatMap(({ service, privileges: { capabilities, reasons } }) =>
    capabilities.flatMap((name) =>
      name === 'all' ? [] : [`| \`${service}\` | \`${name}\` | ${prose(reasons[name] ?? '')} |`],
    ),
  );
  return ['| service | capability | what for |', '|---|---|---|', ...rows].join('\n');
}

function keysTable(): string {
  const rows = Object.entries(KEYS).flatMap(
    ([name, { alias, otherNames = [], standard, userMeta, job }]: readonly [string, Key<unknown>]) => {
      if (job === undefined) return [];
      const others = [...(alias === undefined ? [] : [alias]), ...otherNames].map((each) => `\`${each}\``);
      const names = others.length === 0 ? `\`${name}\`` : `\`${name}\` (${others.join(', ')})`;
      return [
        `| ${names} | ${standard === '' ? 'none' : `\`${standard}\``} | ${userMeta === true ? 'yes' : ''} | ${job} |`,
      ];
    },
  );
  return ['| key | default | user-meta | what it does |', '|---|---|---|---|', ...rows].join('\n');
}

/** Refusals of what is nobody's path are no endpoints to read about. */
function endpointsTable(): string {
  const rows = ENDPOINTS.filter(({ summary }) => !summary.startsWith('refused')).map(
    ({ method, path, summary }) => `| \`${method} ${path}\` | ${summary} |`,
  );
  return ['| request | what it is for |', '|---|---|', ...rows].join('\n');
}

function argumentsTable(): string {
  const meanings = new Map<string, string>(Object.entries(MEANINGS));
  const rows = Object.entries(ALLOWED).map(([name, allowed]) => `| \`${name}\` | ${allowed} | ${meanings.get(name)} |`);
  return ['| argument | value | what it does |', '|---|---|---|', ...rows].join('\n');
}

type Tables = Readonly<Record<string, () => string>>;

const TABLES: Readonly<Record<string, Tables>> = {
  'README.md': { services: servicesTable, privileges: privilegesTable, keys: keysTable, endpoints: endpointsTable },
  'test/examples/README.md': { arguments: argumentsTable },
};

/** The text with every marked table made anew; throws when a marker is missing. */
function withTables(file: string, text: string, tables: Tables): string {
  return Object.entries(tables).reduce((current, [name, make]) => {
    const begin = `<!-- table:${name} -->`;
    const end = `<!-- /table:${name} -->`;
    const from = current.indexOf(begin);
    const to = current.indexOf(end);
    if (from === -1 || to < from) throw new Error(`${file} lacks ${begin} … ${end}`);
    return `${current.slice(0, from + begin.length)}\n${make()}\n${current.slice(to)}`;
  }, text);
}

const USAGE = `usage: npm run readme [-- --check]

  --check   only says whether they are stale, and exits 1 when they are`;
answerHelp(USAGE);
const wrong = process.argv.slice(2).find((word) => word !== '--check');
if (wrong !== undefined) refuse('readme', `no option '${wrong}'`, USAGE);

for (const [name, tables] of Object.entries(TABLES)) {
  const file = join(ROOT, name);
  const text = readFileSync(file, 'utf8');
  const fresh = withTables(name, text, tables);
  if (!process.argv.includes('--check')) writeFileSync(file, fresh);
  else if (fresh !== text) {
    console.error(`${name}: its tables are stale; run npm run readme`);
    process.exitCode = 1;
  }
}
