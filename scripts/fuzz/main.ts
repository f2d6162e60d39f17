// `npm run fuzz [-- --seed N --requests N --from N --json]`: requests that nobody sane sends, and what came of them; exits 1 on any failure.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { failOnLostOutput } from '../lost-output.ts';
import { answerHelp, refuse } from '../tests/usage.ts';
import { type FuzzReport, fuzz } from './run.ts';

const USAGE = `usage: npm run fuzz [-- OPTION...]

  --seed S       of what is drawn by chance: the same one gives the same requests
  --requests N   how many (20000)
  --from N       the number of the first case (0)
  --json         the report as JSON`;

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        requests: { type: 'string', default: '20000' },
        from: { type: 'string', default: '0' },
        json: { type: 'boolean', default: false },
      },
    });
    const whole = (name: 'seed' | 'requests' | 'from'): number =>
      /^\d{1,9}$/.test(values[name])
        ? Number(values[name])
        : refuse('fuzz', `--${name} takes a whole number of at most nine digits, not '${values[name]}'`, USAGE);
    return { seed: whole('seed'), requests: whole('requests'), from: whole('from'), json: values.json };
  } catch (error) {
    refuse('fuzz', reasonOf(error), USAGE);
  }
}

failOnLostOutput('fuzz');
answerHelp(USAGE);
const { json, ...asked } = parse();
const report = await fuzz(asked);
console.log(json ? JSON.stringify(report, null, 2) : text(report));
process.exitCode = report.failures.length === 0 ? 0 : 1;

function text({
  seed: used,
  connections,
  requests: sent,
  seconds,
  statuses,
  failures,
  before,
  after,
}: FuzzReport): string {
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  return [
    `seed ${used}: ${sent} requests on ${connections} connections in ${seconds.toFixed(1)} s`,
    `answers: ${Object.entries(statuses)
      .map(([status, count]) => `${count} × ${status}`)
      .join(', ')}`,
    `heap ${mb(before.heapBytes)} → ${mb(after.heapBytes)}, buffers ${mb(before.externalBytes)} → ${mb(after.externalBytes)}, ` +
      `resident ${mb(before.residentBytes)} → ${mb(after.residentBytes)}, descriptors ${before.descriptors} → ${after.descriptors}`,
    `${failures.length} failures`,
    ...failures.map(({ number, problem }) => `  --seed ${used} --from ${number} --requests 1: ${problem}`),
  ].join('\n');
}
