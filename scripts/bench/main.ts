// `npm run bench [-- --json] [-- --rows NAME…]`: runs the rows and prints them as a table or as JSON.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { apiRows } from './api.ts';
import { brokerRows } from './broker.ts';
import { containerRows } from './containers.ts';
import { ipamRows } from './ipam.ts';
import { journalRows } from './journal.ts';
import { plumbingRows } from './plumbing.ts';
import type { Row } from './row.ts';
import { treeRows } from './tree.ts';

const GROUPS: Readonly<Record<string, () => Promise<Row[]>>> = {
  tree: treeRows,
  containers: containerRows,
  plumbing: plumbingRows,
  broker: brokerRows,
  journal: journalRows,
  ipam: ipamRows,
  api: apiRows,
};

const { values, positionals } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rows: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
  allowPositionals: true,
});
const names = values.rows ? positionals : Object.keys(GROUPS);
const unknown = names.filter((name) => GROUPS[name] === undefined);
if (unknown.length > 0 || names.length === 0) {
  console.error(`bench: no rows named ${unknown.join(', ')}; there are ${Object.keys(GROUPS).join(', ')}`);
  process.exit(2);
}

const rows: Row[] = [];
for (const name of names) rows.push(...((await GROUPS[name]?.()) ?? []));
const json = JSON.stringify(
  rows.map((row) => ({ ...row, ratio: ratioOf(row) })),
  null,
  2,
);
if (values.out !== undefined) writeFileSync(values.out, `${json}\n`);
console.log(values.json ? json : table(rows));

function ratioOf({ value, baseline }: Row): number | undefined {
  return baseline === undefined ? undefined : value / baseline.value;
}

function table(all: readonly Row[]): string {
  const head = ['row', 'value', 'baseline', 'ratio', 'goal'];
  const lines = all.map((row) => [
    row.name,
    `${figure(row.value)} ${row.unit}`,
    row.baseline === undefined ? '' : `${figure(row.baseline.value)} ${row.unit} (${row.baseline.name})`,
    row.baseline === undefined ? '' : figure(row.value / row.baseline.value),
    row.goal ?? '',
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => (line[column] ?? '').length)));
  return [head, ...lines]
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Three digits that mean something. */
function figure(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}
