// Runs the scenarios of test/examples on real containers, all of them or those that are named, and says of each what it showed.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { reasonOf } from '../shared/kernel/system-error.ts';
import { SCENARIOS } from '../test/scenarios/all.ts';
import { type Outcome, runScenario, type Scenario } from '../test/scenarios/scenario.ts';
import { failOnLostOutput } from './lost-output.ts';
import { answerHelp, refuse } from './tests/usage.ts';

const USAGE = `usage: npm run scenarios -- [NAME...] [--json]

  NAME    a scenario, or how it starts: 03-two-pools, 03; without one: all
  --json  {"results": [{"scenario", "backend", "ok", "message", "seconds"}], "passed", "failed"} on stdout

${SCENARIOS.map(({ name, backends }) => `  ${name.padEnd(26)} ${backends.join(', ')}`).join('\n')}

Exit codes: 0 all passed, 1 any failed, 2 wrong use.`;

/** Characters: an assertion can print a whole document. */
const MAX_MESSAGE = 240;

interface Options {
  readonly json: boolean;
  readonly chosen: readonly Scenario[];
}

function parseOptions(argv: readonly string[]): Options | { readonly wrong: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false } },
    });
    const unknown = positionals.find((start) => !SCENARIOS.some(({ name }) => name.startsWith(start)));
    if (unknown !== undefined) return { wrong: `there is no scenario ${unknown}` };
    const isChosen = ({ name }: Scenario): boolean =>
      positionals.length === 0 || positionals.some((start) => name.startsWith(start));
    return { ...values, chosen: SCENARIOS.filter(isChosen) };
  } catch (error) {
    return { wrong: reasonOf(error) };
  }
}

function printLine({ ok, scenario, backend, message, log }: Outcome): void {
  const line = message.replaceAll(/\s+/g, ' ').slice(0, MAX_MESSAGE);
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${scenario.padEnd(26)} ${backend.padEnd(9)} ${line}`);
  if (!ok) console.error(`${message}\n${log}`);
}

/** Answers the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  answerHelp(USAGE);
  const options = parseOptions(argv);
  if ('wrong' in options) return refuse('scenarios', options.wrong, USAGE);
  if (process.getuid?.() !== 0) {
    console.error('scenarios: must be root: they make namespaces, mounts and containers');
    return 2;
  }
  const outcomes: Outcome[] = [];
  // One after the other: a sandbox takes away every control group that it finds new at its end.
  for (const scenario of options.chosen) {
    for (const backend of scenario.backends) {
      const outcome = await runScenario(scenario, backend);
      outcomes.push(outcome);
      if (!options.json) printLine(outcome);
    }
  }
  const passed = outcomes.filter(({ ok }) => ok).length;
  const failed = outcomes.length - passed;
  if (options.json) {
    const results = outcomes.map(({ log: _log, ...told }) => told);
    console.log(JSON.stringify({ results, passed, failed }));
  } else {
    console.log(`${passed} passed, ${failed} failed`);
  }
  return failed === 0 ? 0 : 1;
}

failOnLostOutput('scenarios');
process.exitCode = await main(process.argv.slice(2));
