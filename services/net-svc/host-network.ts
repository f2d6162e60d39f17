// The host's side of all pools: bridges, NAT, forwarding. One change at a time; what cannot be had is told in health.
import { reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Overlap } from '../../shared/revision/host-overlap.ts';
import type { HealthReason } from '../../shared/schema/health.ts';
import type { Pool } from '../../shared/schema/network.ts';
import { createTurn } from '../../shared/time/in-turn.ts';
import type { AwaitedPools } from './awaited-pools.ts';
import { type BridgeNotes, ensureBridges, poolsWithoutBridge, removeStaleBridges } from './bridges.ts';
import type { DroppingChain, ForwardPassage, PassageReport } from './forward-passage.ts';
import { ensureForwarding } from './forwarding.ts';
import { type HostOverlaps, PoolsOverlap } from './host-overlap.ts';
import type { KernelArea } from './kernel-watch.ts';
import { prefixLengthOf, type StayingAddress, takeBackAddresses } from './lending.ts';
import { checkParents } from './macvlan-parents.ts';
import type { Nat, NatReport } from './nat.ts';
import { isLegacyIptables } from './nat-command.ts';
import { natRules } from './nat-rules.ts';
import { NetFailure, undoingOnFailure } from './net-failure.ts';
import { createRulesRetry } from './rules-retry.ts';

export interface HostNetwork {
  /**
   * Makes the host side equal to these pools. Rejects with NetFailure; then bridges that this call made are gone again. Rejects
   * with PoolsOverlap before anything is touched.
   */
  configure(pools: readonly Pool[], how?: Configuring): Promise<HostReport>;
  /** Whether the last `configure` left it out. */
  isLeftOut(pool: string): boolean;
  /** The pools of the last `configure` that succeeded; `pools` of a predecessor's before the first. */
  assume(pools: readonly Pool[]): void;
  /** Brings back what is gone of these areas; `record` hears what. Rejects with NetFailure. */
  repair(areas: ReadonlySet<KernelArea>, record: (step: string) => void): Promise<void>;
  /** Compares the pools with what the machine uses anew, where the kernel had nothing to tell. Rejects with NetFailure. */
  lookAround(): Promise<void>;
  /** Tables of iptables' legacy kind that rules of ours depend on: nobody tells of their changes. As of the last `configure` or `repair`. */
  unheardTables(): readonly string[];
  /** As of the last `configure` or `repair`. */
  healthReasons(): readonly HealthReason[];
}

export interface Configuring {
  /** Name servers of the machine that are containers of these pools. */
  readonly servers?: readonly string[] | undefined;
  /** Pools in the way of what the machine uses are not made, and the others are. */
  readonly leaveOut?: boolean | undefined;
}

export interface HostReport {
  readonly nat: NatReport['used'];
  readonly made: readonly Pool[];
  /** Of those that were left out. */
  readonly overlaps: readonly Overlap[];
}

/** Of masquerading, and of what lets it through. */
const LEGACY_TABLES = ['nat', 'filter'];

export interface HostParts {
  readonly nat: Nat;
  /** Its lines are the ones that people grep for as `[ipam] …`. */
  readonly log: Logger;
  readonly overlaps: HostOverlaps;
  readonly awaited: AwaitedPools;
  readonly passage: ForwardPassage;
  readonly notes: BridgeNotes;
  /** Milliseconds after which NAT, or the way through others' chains, that did not work is tried again. */
  readonly retryMs: number;
}

export function createHostNetwork({ nat, log, overlaps, awaited, passage, notes, retryMs }: HostParts): HostNetwork {
  let current: readonly Pool[] = [];
  let leftOut: readonly Pool[] = [];
  let bridgeHealth: readonly HealthReason[] = [];
  let natHealth: readonly HealthReason[] = [];
  let forwardingHealth: readonly HealthReason[] = [];
  let passageHealth: readonly HealthReason[] = [];
  let stayingHealth: readonly HealthReason[] = [];
  let unheardTables: readonly string[] = [];
  const inTurn = createTurn();

  const tellOfBridges = (reasons: readonly HealthReason[]): void => {
    const known = bridgeHealth.map(({ message }) => message);
    for (const { message } of reasons) if (!known.includes(message)) log.warn(message);
    bridgeHealth = reasons;
  };

  const letPass = async (pools: readonly Pool[]): Promise<PassageReport> => {
    const bridged = pools.filter(({ type }) => type === 'bridge');
    const report = await passage.apply(bridged);
    passageHealth = report.dropping.map(passageReason);
    return report;
  };

  const applyNat = async (pools: readonly Pool[]): Promise<NatReport> => {
    const report = await nat.apply(natRules(pools));
    if (report.used !== 'iptables') unheardTables = [];
    else if (unheardTables.length === 0 && (await isLegacyIptables())) unheardTables = LEGACY_TABLES;
    return report;
  };

  const lookAround = (): void => {
    overlaps.look(current);
    awaited.look(current, leftOut);
  };

  const configure = async (
    wanted: readonly Pool[],
    { servers = [], leaveOut = false }: Configuring,
  ): Promise<HostReport> => {
    // What its bridge had may be another link's while it is gone, and is hidden from nobody.
    const waiting = poolsWithoutBridge(wanted, notes);
    const present = wanted.filter((pool) => !waiting.includes(pool));
    const inTheWay = overlaps.inTheWay(present, servers);
    if (inTheWay.length > 0 && !leaveOut) throw new PoolsOverlap(inTheWay);
    const pools = wanted.filter(({ name }) => !inTheWay.some(({ pool }) => pool === name));
    checkParents(pools);
    const { created, left, reasons } = undoingOnFailure((undo) => ensureBridges(pools, undo, notes));
    tellOfBridges(reasons);
    for (const pool of created)
      log.info(`created bridge ${pool.bridge} with IP ${pool.gateway}/${prefixLengthOf(pool)}`);
    const report = await applyNat(pools);
    logNat(report, pools, log);
    const needsForwarding = pools.some((pool) => pool.nat);
    natHealth = natReasons(report, pools);
    forwardingHealth = needsForwarding ? forwardingReasons(() => log.info('switched on net.ipv4.ip_forward'), log) : [];
    const passed = await letPass(pools);
    logPassage(passed, log);
    tried(report, passed);
    // What is there of a pool that is left out stays for when it is made.
    for (const bridge of [...left, ...removeStaleBridges(wanted, notes)]) {
      log.info(`left bridge ${bridge} to the host, which uses it`);
    }
    notes.others.keep(wanted.map(({ bridge }) => bridge));
    stayingHealth = stayingReasons(takeBackAddresses(wanted, notes.lent));
    current = pools;
    leftOut = wanted.filter((pool) => !pools.includes(pool));
    lookAround();
    return { nat: report.used, made: pools, overlaps: inTheWay };
  };

  const repairPools = async (areas: ReadonlySet<KernelArea>, record: (step: string) => void): Promise<void> => {
    if (areas.has('links')) {
      const { created, reasons } = undoingOnFailure((undo) => ensureBridges(current, undo, notes, record));
      tellOfBridges(reasons);
      // One that somebody gave another name is still the host's way to the pool.
      if (created.length > 0) removeStaleBridges([...current, ...leftOut], notes, record);
      overlaps.look(current);
      const onSwitch = (): void => record('switch on net.ipv4.ip_forward');
      if (current.some((pool) => pool.nat)) forwardingHealth = forwardingReasons(onSwitch, log);
    }
    if (areas.has('rules')) {
      // Tables of their own: neither program has to wait for the other.
      const [report, passed] = await Promise.all([applyNat(current), letPass(current)]);
      tried(report, passed);
      if (report.changed) record(`set up NAT (${report.used})`);
      natHealth = natReasons(report, current);
      if (passed.changed) record('let the pools through the FORWARD chain');
    }
  };

  const repair = async (areas: ReadonlySet<KernelArea>, record: (step: string) => void): Promise<void> => {
    // First, as a repair may fail, and for good.
    if (areas.has('links')) awaited.look(current, leftOut);
    if (current.length > 0) await repairPools(areas, record);
    // Last, as no pool needs it. Without pools that are known here, what is lent may be that of pools that are still to come.
    if (areas.has('links') && (current.length > 0 || stayingHealth.length > 0)) {
      stayingHealth = stayingReasons(takeBackAddresses([...current, ...leftOut], notes.lent, record));
    }
  };

  const tryAgain = async (): Promise<void> => {
    const trying = inTurn(() => repair(new Set(['rules']), (step) => log.info(step)));
    await trying.catch((error: unknown) => log.warn(`rules: ${reasonOf(error)}`));
  };
  const retry = createRulesRetry(tryAgain, retryMs);
  /** Once for both: each would begin the wait anew. */
  const tried = (report: NatReport, passed: PassageReport): void =>
    retry.tried(report.used !== 'unavailable' && passed.worked);

  return {
    configure: (pools, how = {}) => inTurn(() => configure(pools, how)),
    isLeftOut: (pool) => leftOut.some(({ name }) => name === pool),
    assume: (pools) => {
      current = pools;
    },
    repair: (areas, record) => inTurn(() => repair(areas, record)),
    lookAround: () => inTurn(async () => lookAround()),
    unheardTables: () => unheardTables,
    healthReasons: () => [
      ...bridgeHealth,
      ...natHealth,
      ...forwardingHealth,
      ...passageHealth,
      ...stayingHealth,
      ...overlaps.reasons(),
    ],
  };
}

function logNat(report: NatReport, pools: readonly Pool[], log: Logger): void {
  for (const reason of report.reasons) log.warn(`NAT: ${reason}`);
  for (const pool of pools.filter(({ nat }) => nat)) {
    if (report.used === 'unavailable') {
      log.warn(`no NAT for pool ${pool.name}: neither nftables nor iptables works, it serves local traffic only`);
    } else if (report.changed) {
      log.info(`setup NAT (${report.used}) for pool ${pool.name}`);
    }
  }
}

function logPassage({ dropping, changed }: PassageReport, log: Logger): void {
  for (const { chain, obstacle } of dropping) {
    if (obstacle !== '') log.warn(`chain ${chain} drops what is forwarded, and pools are not let through: ${obstacle}`);
    else if (changed) log.info(`chain ${chain} drops what is forwarded; let the pools through it`);
  }
}

/** firewalld knows nothing of rules that others add to its table, and removes them. */
const FIREWALLD = /^inet firewalld /;

function passageReason({ chain, by, obstacle, pools }: DroppingChain): HealthReason {
  const subnets = pools.map(({ subnet, bridge }) => `${subnet} on ${bridge}`).join(', ');
  const how = by === 'policy' ? 'policy' : 'a rule for all';
  const message =
    obstacle === ''
      ? `chain ${chain} drops by ${how} what is forwarded; the pools are let through it by rules of ours`
      : `chain ${chain} drops by ${how} what is forwarded: ${obstacle}; allow ${subnets} there${FIREWALLD.test(chain) ? firewalldWay(pools) : ''}`;
  return { code: 'FORWARD_DROPPED', subject: chain, message };
}

function firewalldWay(pools: readonly Pool[]): string {
  const commands = pools.map(({ bridge }) => `firewall-cmd --permanent --zone=trusted --add-interface=${bridge}`);
  return `, such as by '${[...commands, 'firewall-cmd --reload'].join(' && ')}'`;
}

function stayingReasons(staying: readonly StayingAddress[]): HealthReason[] {
  return staying.map(({ bridge, address, holders }) => ({
    code: 'ADDRESS_STAYS',
    subject: `bridge ${bridge}`,
    message:
      `${address} of a pool that is gone stays on ${bridge}: ${holders.join(', ')}, of somebody else, would go with it, as the kernel does it. ` +
      `Whoever is given that address by now is not reached; 'ip addr del ${address} dev ${bridge}', and add ${holders.join(', ')} again`,
  }));
}

function natReasons(report: NatReport, pools: readonly Pool[]): HealthReason[] {
  if (report.used !== 'unavailable') return [];
  const said = report.reasons.length === 0 ? 'no back end is allowed' : report.reasons.join('; ');
  return pools
    .filter(({ nat }) => nat)
    .map(({ name }) => ({
      code: 'NAT_UNAVAILABLE',
      subject: `pool ${name}`,
      message: `pool ${name} has no NAT and serves local traffic only: ${said}; install nft or iptables`,
    }));
}

function forwardingReasons(onSwitch: () => void, log: Logger): HealthReason[] {
  try {
    if (ensureForwarding()) onSwitch();
    return [];
  } catch (error) {
    if (!(error instanceof NetFailure)) throw error;
    log.warn(error.message);
    return [{ code: 'FORWARDING_OFF', subject: 'net.ipv4.ip_forward', message: `${error.message}; NAT needs it` }];
  }
}
