// `npm run soak [-- --cycles N --seed S --json --report FILE.svg]`: start, stop and update over and over; exits 1 when something grows.
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { failOnLostOutput } from '../lost-output.ts';
import { answerHelp, refuse } from '../tests/usage.ts';
import { reportText, svgOfReport } from './report.ts';
import { soak } from './run.ts';

const USAGE = `usage: npm run soak [-- OPTION...]

  --cycles N      how often containers are started, stopped and updated (1000)
  --seed S        of what is drawn by chance: the same one gives the same cycles
  --report FILE   a picture of every figure over the cycles, as SVG
  --json          the report as JSON

SIGTERM ends it after the cycle under way, with the report of those that were.`;

function complain(message: string): never {
  refuse('soak', message, USAGE);
}

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        cycles: { type: 'string', default: '1000' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        json: { type: 'boolean', default: false },
        report: { type: 'string' },
      },
    });
    const whole = (name: 'cycles' | 'seed'): number => {
      const value = /^\d{1,9}$/.test(values[name]) ? Number(values[name]) : undefined;
      return value ?? complain(`--${name} takes a whole number of at most nine digits, not '${values[name]}'`);
    };
    return { cycles: whole('cycles'), seed: whole('seed'), json: values.json, report: values.report };
  } catch (error) {
    complain(reasonOf(error));
  }
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    complain(`--report ${path}: ${reasonOf(error)}`);
  }
}

failOnLostOutput('soak');
answerHelp(USAGE);
const { json, report: file, ...asked } = parse();
if (process.getuid?.() !== 0) complain('containers need root');
if (asked.cycles === 0) complain('--cycles 0: nothing would be shown');
// Before the hours that it takes, not after them.
if (file !== undefined) write(file, '');
console.error(`soak: seed ${asked.seed}, ${asked.cycles} cycles`);
const tell = (cycle: number): void => {
  if ((cycle + 1) % 10 === 0) console.error(`soak: ${cycle + 1} of ${asked.cycles} cycles`);
};
const end = new AbortController();
process.once('SIGTERM', () => end.abort());
const report = await soak({ ...asked, signal: end.signal, afterCycle: tell });
if (file !== undefined) write(file, svgOfReport(report));
console.log(json ? JSON.stringify(report) : reportText(report));
process.exitCode = report.verdicts.some(({ leaks }) => leaks) ? 1 : 0;
