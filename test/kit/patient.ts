// A contract whose requests may take their time: what a caller of the product waits for, a test on a slow machine may miss.
import type { Contract } from '../../shared/ipc/contract.ts';
import { PATIENCE_MS } from './eventually.ts';

/** For clients of tests only; not where a deadline is what is tested. */
export function patient<C extends Contract>(contract: C): C {
  const requests = Object.fromEntries(
    Object.entries(contract.requests).map(([name, spec]) => [
      name,
      { ...spec, deadlineMs: Math.max(spec.deadlineMs, PATIENCE_MS) },
    ]),
  );
  return { ...contract, requests };
}
