// The scenarios, in the order of their folders in test/examples.

import { basic, defaultPool, legacyCoexistence, natBackend, staticAddress, twoPools } from './addresses.ts';
import { configOverlay, dataOnly, groupInheritance, readySignal, roleMgmt } from './goals.ts';
import { cleanExit, crashBackoff, deafStop, obedientStop, stabilise } from './life.ts';
import { macvlan } from './macvlan.ts';
import { collision, invalidAddress, poolAndBaked, unknownPool } from './refusals.ts';
import type { Backend, Scenario } from './scenario.ts';
import { leaseStability } from './stability.ts';

/** Where no packet leaves its pool, it does not matter who masquerades. */
const ONE: readonly Backend[] = ['nftables'];
const BOTH: readonly Backend[] = ['nftables', 'iptables'];

export const SCENARIOS: readonly Scenario[] = [
  { name: '01-basic', backends: BOTH, show: basic },
  { name: '02-static-address', backends: ONE, show: staticAddress },
  { name: '03-two-pools', backends: BOTH, show: twoPools },
  { name: '04-nat-backend', backends: ['nftables', 'iptables', 'none'], show: natBackend },
  { name: '05-default-pool', backends: BOTH, show: defaultPool },
  { name: '06-lease-stability', backends: ONE, show: leaseStability },
  { name: '07-unknown-pool', backends: ONE, show: unknownPool },
  { name: '08-pool-and-baked-network', backends: ONE, show: poolAndBaked },
  { name: '09-legacy-coexistence', backends: BOTH, show: legacyCoexistence },
  { name: '10-ipam-invalid', backends: ONE, show: invalidAddress },
  { name: '11-ipam-collision', backends: ONE, show: collision },
  { name: '12-macvlan', backends: ONE, show: macvlan },
  { name: '13-obedient-stop', backends: ONE, show: obedientStop },
  { name: '14-deaf-stop', backends: ONE, show: deafStop },
  { name: '15-clean-exit', backends: ONE, show: cleanExit },
  { name: '16-crash-backoff', backends: ONE, show: crashBackoff },
  { name: '17-stabilise', backends: ONE, show: stabilise },
  { name: '18-group-inheritance', backends: ONE, show: groupInheritance },
  { name: '19-ready-signal', backends: ONE, show: readySignal },
  { name: '20-data-only', backends: ONE, show: dataOnly },
  { name: '21-role-mgmt', backends: ONE, show: roleMgmt },
  { name: '22-config-overlay', backends: ONE, show: configOverlay },
];
