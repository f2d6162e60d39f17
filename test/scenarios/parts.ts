// The scenarios in parts, a test file each, so that no file takes much longer than a minute.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SCENARIOS } from './all.ts';
import { runScenario } from './scenario.ts';

export const PARTS = {
  addresses: ['01-basic', '02-static-address', '03-two-pools', '09-legacy-coexistence'],
  backends: ['04-nat-backend', '05-default-pool'],
  refusals: ['07-unknown-pool', '08-pool-and-baked-network', '10-ipam-invalid', '11-ipam-collision'],
  lives: ['13-obedient-stop', '14-deaf-stop', '15-clean-exit', '16-crash-backoff', '17-stabilise'],
  others: [
    '06-lease-stability',
    '12-macvlan',
    '18-group-inheritance',
    '19-ready-signal',
    '20-data-only',
    '21-role-mgmt',
    '22-config-overlay',
  ],
} as const;

/** Every scenario of the part on every back end that it is for, as `npm run scenarios` runs them. */
export function showPart(part: keyof typeof PARTS): void {
  const names: readonly string[] = PARTS[part];
  describe(`scenarios: ${part}`, () => {
    for (const scenario of SCENARIOS.filter(({ name }) => names.includes(name))) {
      for (const backend of scenario.backends) {
        it(`shows ${scenario.name} with ${backend}`, async () => {
          const { ok, message, log } = await runScenario(scenario, backend);
          assert.ok(ok, `${message}\n${log}`);
        });
      }
    }
  });
}
