// `npm run crash [-- --count N --seed S --from N --json]`: the crash matrix on a tree in a sandbox; exits 1 when something did not hold.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { failOnLostOutput } from '../lost-output.ts';
import { answerHelp, refuse } from '../tests/usage.ts';
import { titleOf } from './case.ts';
import type { Outcome } from './play.ts';
import { series } from './run.ts';
import { summaryOf, summaryText } from './summary.ts';

const USAGE = `usage: npm run crash [-- OPTION...]

  --count N   how many cases (1000)
  --seed S    of what is drawn by chance: the same one gives the same cases
  --from N    the number of the first case (0)
  --json      the summary as JSON`;

function complain(message: string): never {
  refuse('crash', message, USAGE);
}

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        count: { type: 'string', default: '1000' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        from: { type: 'string', default: '0' },
        json: { type: 'boolean', default: false },
      },
    });
    const whole = (name: 'count' | 'seed' | 'from'): number => {
      const value = /^\d{1,9}$/.test(values[name]) ? Number(values[name]) : undefined;
      return value ?? complain(`--${name} takes a whole number of at most nine digits, not '${values[name]}'`);
    };
    return { count: whole('count'), seed: whole('seed'), from: whole('from'), json: values.json };
  } catch (error) {
    complain(reasonOf(error));
  }
}

failOnLostOutput('crash');
answerHelp(USAGE);
const { json, ...asked } = parse();
if (process.getuid?.() !== 0) complain('containers need root');
if (asked.count === 0) complain('--count 0: nothing would be shown');
console.error(`crash: seed ${asked.seed}, cases ${asked.from} to ${asked.from + asked.count - 1}`);
// At once: whoever ends a long run early has seen what failed.
const tell = ({ crash, healthyMs, tookMs, failure }: Outcome): void => {
  const took = `well after ${Math.round(healthyMs)} ms, ${Math.round(tookMs)} ms in all`;
  console.error(failure === undefined ? `ok   ${titleOf(crash)}: ${took}` : `FAIL ${titleOf(crash)}\n${failure}`);
};
const outcomes = await series({ ...asked, onOutcome: tell });
const summary = summaryOf(asked.seed, outcomes);
console.log(json ? JSON.stringify(summary, null, 2) : summaryText(summary));
process.exitCode = summary.failures.length === 0 ? 0 : 1;
