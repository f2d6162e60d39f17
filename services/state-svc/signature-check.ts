// Whether a revision may run by its signatures: what the configured mode makes of what they say.
import type { KeyValue } from '../../shared/config/keys.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Problem } from '../../shared/revision/revision.ts';
import type { SignatureFindings } from '../../shared/revision/signatures.ts';
import type { TrustStore } from './trust-store.ts';

export type SignatureMode = KeyValue<'PV_SECUREBOOT_MODE'>;

/**
 * `new`: it has just come, or is to be tried; certificates must be valid today. `known`: it was taken before, when they were. A device
 * that starts without a network has no idea of the day, and one that starts years later must start all the same.
 */
export type Occasion = 'new' | 'known';

/** Answers what refuses the revision, SIGNATURE_INVALID before NOT_COVERED; what only needs to be told is logged. Never rejects. */
export type SignatureCheck = (document: unknown, occasion: Occasion) => Promise<readonly Problem[]>;

export const UNCHECKED: SignatureCheck = async () => [];

export interface SignatureContext {
  readonly mode: SignatureMode;
  readonly trust: TrustStore;
  readonly log: Logger;
  nowMs(): number;
}

/** Told one by one; the rest is a number. */
const MAX_TOLD = 32;

export function createSignatureCheck({ mode, trust, log, nowMs }: SignatureContext): SignatureCheck {
  if (mode === 'disabled') return UNCHECKED;
  return async (document, occasion) => {
    // Most devices never need what this loads.
    const { checkSignatures } = await import('../../shared/revision/signatures.ts');
    const { keys, roots, warnings } = await trust.read();
    for (const warning of warnings) log.warn(`trust store: ${warning}`);
    const atMs = occasion === 'new' ? nowMs() : undefined;
    const found = checkSignatures(document, { keys, roots, atMs });
    const { refusals, told } = judge(mode, found);
    for (const { path, message } of told) log.warn(`${path}: ${message} (mode ${mode}: it may run)`);
    if (refusals.length === 0 && told.length === 0 && found.signatures > 0)
      log.info(`${found.signatures} signatures hold`);
    return refusals;
  };
}

/** Pure. */
export function judge(mode: SignatureMode, { invalid, uncovered }: SignatureFindings) {
  const untrue = shortened(invalid);
  const open = shortened(uncovered);
  switch (mode) {
    case 'disabled':
      return { refusals: [], told: [] };
    case 'audit':
      return { refusals: [], told: [...untrue, ...open] };
    case 'lenient':
      return { refusals: untrue, told: [] };
    case 'strict':
      return { refusals: [...untrue, ...open], told: [] };
  }
}

function shortened(problems: readonly Problem[]): readonly Problem[] {
  const [first] = problems;
  if (first === undefined || problems.length <= MAX_TOLD) return problems;
  const rest: Problem = { path: '', code: first.code, message: `${problems.length - MAX_TOLD} more of that kind` };
  return [...problems.slice(0, MAX_TOLD), rest];
}
