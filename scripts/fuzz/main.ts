// `npm run fuzz [-- --seed N --requests N --from N --json]`: requests that nobody sane sends, and what came of them; exits 1 on any failure.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { type FuzzReport, fuzz } from './run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    requests: { type: 'string', default: '20000' },
    from: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
});
const [seed, requests, from] = [values.seed, values.requests, values.from].map(Number);
if (![seed, requests, from].every(Number.isSafeInteger) || seed === undefined || requests === undefined) {
  console.error('fuzz: --seed, --requests and --from take whole numbers');
  process.exit(2);
}

const report = await fuzz({ seed, requests, from: from ?? 0 });
console.log(values.json ? JSON.stringify(report, null, 2) : text(report));
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
