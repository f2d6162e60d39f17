// Keeps the table of senders equal to what is attached: made with the program nft, changed by one container over netlink.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { KernelError } from '../../shared/kernel/libc.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Lease } from '../../shared/schema/network.ts';
import { createTurn } from '../../shared/time/in-turn.ts';
import { change, type NatOutcome, run } from './nat-command.ts';
import { createElementChanges } from './nft-elements.ts';
import { createRulesRetry } from './rules-retry.ts';
import {
  comparableTable,
  isWithin,
  SENDERS_TABLE,
  type SenderElement,
  type SenderExtent,
  senderElements,
  sendersRemove,
  sendersReplace,
  senderTable,
} from './sender-rules.ts';

export interface SenderGuard {
  /** Makes the table equal to what is attached, or takes it away where there is no pool. `record` hears of a change. Never rejects. */
  ensure(record?: (step: string) => void): Promise<void>;
  /**
   * What is attached is looked at under today's names of its ports, too, in the table that a net-svc before this one left: its ports are
   * about to be renamed, and the table is made anew only some time later. For the start, when nothing else is under way.
   */
  learnNames(): void;
  /**
   * A container with these leases may send from them, and from no others once they have been told. Never rejects: a pool that cannot be
   * guarded is still a pool.
   */
  admit(leases: readonly Lease[]): Promise<void>;
  /** What it could send with each of these sets of leases is gone, but for what it can with `kept`. */
  forget(sets: readonly (readonly Lease[])[], kept: readonly Lease[]): Promise<void>;
}

export interface SenderContext {
  /** There while a table of ours may be. */
  readonly notePath: string;
  readonly log: Logger;
  /** Whether containers are to be held to their leases. */
  readonly isWanted: boolean;
  /** Pools with bridges. */
  hasBridges(): boolean;
  /** By the pool's name. Interfaces of these are ports of no bridge. */
  isMacvlan(pool: string): boolean;
  /** Of each container that is attached. */
  leases(): readonly (readonly Lease[])[];
  /** Milliseconds after which a table that could not be made is tried again. */
  readonly retryMs: number;
}

export function createSenderGuard(context: SenderContext): SenderGuard {
  const { notePath, log, isWanted, hasBridges, isMacvlan, leases, retryMs } = context;
  const changeElements = createElementChanges();
  /** What the program nft here can say. */
  let extent: SenderExtent = 'all';
  const elementsOf = (own: readonly Lease[]): readonly SenderElement[] =>
    senderElements(own, ({ pool }) => !isMacvlan(pool)).filter((element) => isWithin(extent, element));
  /** Of all that are attached, and `coming`, of one that is about to be: it may have some of them already. */
  const wanted = (coming: readonly SenderElement[]): readonly SenderElement[] => {
    const all = [...leases().flatMap(elementsOf), ...coming];
    return [...new Map(all.map((element) => [elementText(element), element])).values()];
  };
  /** Whether the kernel has our table, as far as we know; undefined: nobody has looked. */
  let stands: boolean | undefined;
  let toldReason = '';
  const inTurn = createTurn();

  const remove = async (): Promise<void> => {
    stands = false;
    if (!existsSync(notePath)) return;
    const outcome = await change('nft', ['-f', '-'], sendersRemove());
    if (outcome.kind !== 'failed') rmSync(notePath, { force: true });
  };

  const isRight = async (coming: readonly SenderElement[]): Promise<boolean> => {
    if (!existsSync(notePath)) return false;
    const listing = await run('nft', ['-s', 'list', 'table', 'bridge', SENDERS_TABLE]);
    return (
      'stdout' in listing && comparableTable(listing.stdout) === comparableTable(senderTable(wanted(coming), extent))
    );
  };

  const replace = (coming: readonly SenderElement[]): Promise<NatOutcome> =>
    change('nft', ['-f', '-'], sendersReplace(wanted(coming), extent));

  /** By an nft that cannot say it of IPv6, what it can. */
  const replaceAsFar = async (coming: readonly SenderElement[]): Promise<NatOutcome> => {
    const outcome = await replace(coming);
    if (outcome.kind !== 'failed' || extent !== 'all' || !isMisunderstood(outcome.reason)) return outcome;
    extent = 'ipv4';
    const less = await replace(coming);
    if (less.kind === 'failed') extent = 'all';
    else log.warn(`containers can claim IPv6 addresses that are not theirs: this nft is too old: ${outcome.reason}`);
    return less;
  };

  const ensure = async (record: (step: string) => void, coming: readonly SenderElement[] = []): Promise<void> => {
    if (!isWanted || !hasBridges()) {
      await remove();
      return;
    }
    const wasNoted = existsSync(notePath);
    if (await isRight(coming)) {
      stands = true;
      return;
    }
    // Before the rules: a crash in between must not leave rules that nobody looks for.
    writeFileSync(notePath, '');
    const outcome = await replaceAsFar(coming);
    stands = outcome.kind !== 'failed';
    retry.tried(stands);
    const reason = outcome.kind === 'failed' ? outcome.reason : '';
    if (reason !== '' && reason !== toldReason) {
      log.warn(`containers can send from addresses that are not theirs: nft cannot filter on bridges: ${reason}`);
    }
    toldReason = reason;
    if (stands && wasNoted) record('hold containers to their addresses');
  };

  const byNetlink = (what: 'add' | 'delete', elements: readonly SenderElement[]): boolean => {
    try {
      changeElements(what, SENDERS_TABLE, elements);
      return true;
    } catch (error) {
      // The table is not as it was left: others changed it, or a repair was there first.
      if (!(error instanceof KernelError)) throw error;
      return false;
    }
  };

  const retry = createRulesRetry(() => inTurn(() => ensure((step) => log.info(step))), retryMs);

  return {
    ensure: (record = () => undefined) => inTurn(() => ensure(record)),
    learnNames() {
      if (!isWanted || !existsSync(notePath)) return;
      // A transaction for each: all at once may be more than a socket takes. The table may be one that knows nothing of IPv6.
      for (const elements of leases().map(elementsOf)) {
        const ofIpv4 = elements.filter((element) => isWithin('ipv4', element));
        const more = elements.filter((element) => !ofIpv4.includes(element));
        for (const part of [more, ofIpv4]) if (part.length > 0) byNetlink('add', part);
      }
    },
    admit: (admitted) =>
      inTurn(async () => {
        const coming = elementsOf(admitted);
        if (stands === false || coming.length === 0) return;
        if (stands === undefined || !byNetlink('add', coming)) await ensure(() => undefined, coming);
      }),
    forget: (sets, kept) =>
      inTurn(async () => {
        const leaving = new Map(sets.flatMap(elementsOf).map((element) => [elementText(element), element]));
        for (const element of elementsOf(kept)) leaving.delete(elementText(element));
        // Two containers of different pools may have been given the same MAC.
        for (const element of leases().flatMap(elementsOf)) {
          if (element.set === 'identifiers') leaving.delete(elementText(element));
        }
        if (stands !== true || leaving.size === 0) return;
        if (!byNetlink('delete', [...leaving.values()])) await ensure(() => undefined);
      }),
  };
}

const elementText = ({ set, port, mac, address, identifier }: SenderElement): string =>
  [set, port, mac, address, identifier].join();

/** By the program itself; what the kernel refused it could say. */
const isMisunderstood = (reason: string): boolean =>
  reason.includes('Error: ') && !reason.includes('Could not process rule');
