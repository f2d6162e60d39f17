// Which back end does NAT for which pools: the first that works. A note beside the namespaces says which one may hold rules
// of ours, so that without pools no program is run at all and a switch of back ends leaves nothing of the other.
import { rmSync, writeFileSync } from 'node:fs';
import { readIfPresent } from '../../shared/kernel/text-if-there.ts';
import type { NatBackend, NatBackendName } from './nat-command.ts';
import type { NatRule } from './nat-rules.ts';

export interface NatReport {
  readonly used: NatBackendName | 'unavailable' | 'unneeded';
  /** Rules were written; false when they stood already. */
  readonly changed: boolean;
  /** What each back end said that did not work. */
  readonly reasons: readonly string[];
}

export interface Nat {
  /** Never rejects for what the tools say: a pool without NAT still serves local traffic. */
  apply(rules: readonly NatRule[]): Promise<NatReport>;
}

/** `backends` in order of preference; `all` those that may have been used by a predecessor. `notePath` is a file of ours. */
export function createNat(backends: readonly NatBackend[], all: readonly NatBackend[], notePath: string): Nat {
  const removeOthers = async (used: NatBackendName | undefined): Promise<string[]> => {
    const noted = readNote(notePath);
    const reasons: string[] = [];
    for (const backend of all.filter(({ name }) => name !== used && noted.includes(name))) {
      const outcome = await backend.remove();
      if (outcome.kind === 'failed') reasons.push(`cannot remove the rules of ${backend.name}: ${outcome.reason}`);
    }
    if (reasons.length === 0) writeNote(notePath, used === undefined ? [] : [used]);
    return reasons;
  };

  return {
    apply: async (rules) => {
      if (rules.length === 0) return { used: 'unneeded', changed: false, reasons: await removeOthers(undefined) };
      const reasons: string[] = [];
      for (const backend of backends) {
        // Before the rules: a crash in between must not leave rules that nobody looks for.
        writeNote(notePath, [...readNote(notePath), backend.name]);
        const outcome = await backend.apply(rules);
        if (outcome.kind === 'failed') {
          reasons.push(outcome.reason);
          continue;
        }
        const changed = outcome.kind === 'changed';
        return { used: backend.name, changed, reasons: await removeOthers(backend.name) };
      }
      return { used: 'unavailable', changed: false, reasons: [...reasons, ...(await removeOthers(undefined))] };
    },
  };
}

function readNote(path: string): string[] {
  return (readIfPresent(path) ?? '').split('\n').filter(Boolean);
}

function writeNote(path: string, names: readonly string[]): void {
  const unique = [...new Set(names)];
  if (unique.length === 0) rmSync(path, { force: true });
  else if (unique.join() !== readNote(path).join()) writeFileSync(path, `${unique.join('\n')}\n`);
}
