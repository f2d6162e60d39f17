// `npm run bench`: runs the rows, prints them beside their baselines and goals, and keeps them as a report and a chart.
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { dirname } from 'node:path';
import process from 'node:process';
import { failOnLostOutput } from '../lost-output.ts';
import { answerHelp, refuse } from '../tests/usage.ts';
import { apiRows } from './api.ts';
import { BENCH_USAGE, parseBenchArguments } from './bench-arguments.ts';
import { brokerRows } from './broker.ts';
import { renderChart } from './chart.ts';
import { compareReports, renderComparison } from './compare.ts';
import { containerMemoryRows } from './container-memory.ts';
import { containerRows } from './containers.ts';
import { ipamRows } from './ipam.ts';
import { journalRows } from './journal.ts';
import { calibrate, noiseWarning, spreadOf } from './noise.ts';
import { plumbingRows } from './plumbing.ts';
import { type Report, readReport } from './report.ts';
import type { MissingRow, Row } from './row.ts';
import { renderRows } from './table.ts';
import { treeRows } from './tree.ts';

/** By name, in the order in which they run: the more they tell of a device the earlier, should time run out. */
const GROUPS: Readonly<Record<string, () => Promise<readonly (Row | MissingRow)[]>>> = {
  tree: treeRows,
  containers: containerRows,
  broker: brokerRows,
  memory: containerMemoryRows,
  api: apiRows,
  plumbing: plumbingRows,
  journal: journalRows,
  ipam: ipamRows,
};
/** A group that has not begun by then is left out: all of them together take at most ten minutes. */
const LAST_BEGIN_MS = 8 * 60_000;

// With it every Node 20 reads these certificates at its start: 70 ms of CPU that no device spends, ours as little as the baselines'.
delete process.env.NODE_EXTRA_CA_CERTS;

failOnLostOutput('bench');
answerHelp(BENCH_USAGE);
const chosen = parseBenchArguments(process.argv.slice(2), Object.keys(GROUPS));
if ('wrong' in chosen) refuse('bench', chosen.wrong, BENCH_USAGE);
const earlier = chosen.compare === undefined ? undefined : readReport(chosen.compare);
if (earlier !== undefined && 'wrong' in earlier) refuse('bench', `--compare: ${earlier.wrong}`, BENCH_USAGE);

const [load = 0] = loadavg();
const report = await run(chosen.names);
mkdirSync(dirname(chosen.out), { recursive: true });
writeFileSync(chosen.out, `${JSON.stringify(report, null, 2)}\n`);
const chart = chosen.out.replace(/\.json$/, '.svg');
writeFileSync(
  chart,
  renderChart(report.rows, `Berth on Node ${report.node}, ${report.processors} processors, ${report.takenAt}`),
);

console.log(chosen.json ? JSON.stringify(report, null, 2) : renderRows(report.rows, report.missing));
if (earlier !== undefined)
  console.error(`\nsince ${earlier.takenAt}:\n${renderComparison(compareReports(earlier, report))}`);
const warning = noiseWarning(report.spread, load, report.processors);
if (warning !== undefined) console.error(`\n${warning}`);
console.error(`\n${chosen.out} and ${chart} have it.`);

async function run(names: readonly string[]): Promise<Report> {
  const found: (Row | MissingRow)[] = [];
  const tries = [...calibrate()];
  const began = performance.now();
  for (const name of names) {
    if (performance.now() - began > LAST_BEGIN_MS) {
      found.push({ name, missing: `ten minutes were nearly over; npm run bench -- --rows ${name}` });
      continue;
    }
    console.error(`${name} …`);
    found.push(...((await GROUPS[name]?.()) ?? []));
    tries.push(...calibrate());
  }
  return {
    takenAt: new Date().toISOString(),
    node: process.versions.node,
    processors: availableParallelism(),
    spread: spreadOf(tries),
    rows: found.flatMap((each) => ('missing' in each ? [] : [each])),
    missing: found.flatMap((each) => ('missing' in each ? [each] : [])),
  };
}
