// Where revisions come in: an uploaded state is checked whole, as `berth check` does it, and becomes a revision or nothing at all.
import type { Refusal } from '../../shared/ipc/contract.ts';
import { isFull, reasonOf } from '../../shared/kernel/system-error.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { Problem, Revision } from '../../shared/revision/revision.ts';
import { parseState } from '../../shared/revision/validate.ts';
import { REVISION_NAME_RULE, revisionName } from '../../shared/schema/names.ts';
import { createTurn } from '../../shared/time/in-turn.ts';
import type { Arrivals } from './arrivals.ts';
import type { stateContract } from './contract.ts';
import type { ObjectStore } from './object-store.ts';
import { objectsOf, type RevisionStore } from './revision-store.ts';
import type { StepStore } from './step-store.ts';
import type { StorageRoom } from './storage-room.ts';
import type { Uploads } from './uploads.ts';

type PutFailure = Refusal<typeof stateContract, 'putStep'>;

export interface StepDesk {
  readonly objects: ObjectStore;
  readonly uploads: Uploads;
  readonly steps: StepStore;
  /** Of objects and revisions. */
  readonly arrivals: Arrivals;
  /** Undefined: it is a revision now. Never rejects. */
  put(name: string, uploadId: string): Promise<PutFailure | undefined>;
  /** Whatever is done to revisions' folders and objects happens one after the other. */
  inTurn<T>(act: () => Promise<T>): Promise<T>;
}

export interface DeskContext {
  readonly store: RevisionStore;
  readonly objects: ObjectStore;
  readonly uploads: Uploads;
  readonly steps: StepStore;
  readonly arrivals: Arrivals;
  readonly room: StorageRoom;
  readonly log: Pick<Logger, 'warn'>;
  /** Why the revision must stay as it is; undefined: nobody needs it. */
  usedFor(name: string): string | undefined;
}

/** A state of a thousand containers has one. */
const MAX_STATE_BYTES = 4 * 1024 * 1024;
/** Problems and bytes of text that fit into a message; all of them are in the log of `berth check`. */
const MAX_PROBLEMS = 64;
const MAX_TEXT = 400;

export function createStepDesk(context: DeskContext): StepDesk {
  const { store, objects, uploads, steps, arrivals, room, log, usedFor } = context;
  const inTurn = createTurn();

  const install = async (name: string, text: string): Promise<PutFailure | undefined> => {
    const checked = await checkState(store, text);
    if ('code' in checked) return checked;
    const use = usedFor(name);
    // The same again is what was asked for, whoever uses it.
    if (use !== undefined && (await steps.stateText(name)) === text) return undefined;
    if (use !== undefined) return inUse(name, use);
    try {
      // It may be asked for while it is written, and would be tried under the other one's name.
      const isPut = await steps.put(name, text, checked.objects, () => usedFor(name) === undefined);
      if (isPut) arrivals.came(name);
      return isPut ? undefined : inUse(name, usedFor(name) ?? 'was asked for meanwhile');
    } catch (error) {
      if (!isFull(error)) return { code: 'STORE_FAILED', reason: String(error).slice(0, MAX_TEXT) };
      log.warn(`there is no room for revision ${name}: ${await steps.shortage(name, text)} (${reasonOf(error)})`);
      return { code: 'NO_SPACE', requiredBytes: text.length, availableBytes: await room.availableBytes() };
    }
  };

  return {
    objects,
    uploads,
    steps,
    arrivals,
    inTurn,
    async put(name, uploadId) {
      try {
        const wrong = nameProblem(name);
        if (wrong !== undefined) {
          await uploads.abandon(uploadId);
          return { code: 'BAD_STEP_NAME', reason: wrong };
        }
        const taken = await uploads.takeText(uploadId, MAX_STATE_BYTES);
        if (taken === undefined) return { code: 'NO_SUCH_UPLOAD' };
        const { text } = taken;
        if (text === undefined)
          return invalid([{ path: '', code: 'TOO_LONG', message: `is longer than ${MAX_STATE_BYTES} bytes` }]);
        return await uploads.whenSettled(text, () => inTurn(() => install(name, text)));
      } catch (error) {
        return { code: 'STORE_FAILED', reason: String(error).slice(0, MAX_TEXT) };
      }
    },
  };
}

function inUse(name: string, use: string): PutFailure {
  return { code: 'STEP_IN_USE', reason: `revision ${name} ${use}; take another name` };
}

/** Undefined when a step may be put there. */
function nameProblem(name: string): string | undefined {
  if (!name.startsWith('locals/')) return 'only revisions below locals/ can be put';
  if (revisionName.safeParse(name).success) return undefined;
  return `a name has ${REVISION_NAME_RULE}, and no further /`;
}

async function checkState(store: RevisionStore, text: string): Promise<Revision | PutFailure> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    return invalid([{ path: '', code: 'NOT_JSON', message: reasonOf(error) }]);
  }
  await store.claim(document);
  const parsed = parseState(document, (_path, digest) => store.readObject(digest));
  const unsigned = await store.verifySignatures(document, 'new');
  // Stock's clients wait for 5 to 10 seconds. Whatever is damaged unseen is found when the revision is to run.
  const damaged = await store.verifyObjects(objectsOf(document), 'put');
  const problems = [...unsigned, ...(parsed.ok ? [] : parsed.problems), ...damaged];
  return parsed.ok && problems.length === 0 ? parsed.revision : invalid(problems);
}

function invalid(problems: readonly Problem[]): PutFailure {
  const shown = problems.slice(0, MAX_PROBLEMS).map(({ path, code, message }) => ({
    path: path.slice(0, 200),
    code,
    message: message.slice(0, MAX_TEXT),
  }));
  const [first] = shown;
  const rest = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const where = first?.path === undefined || first.path === '' ? '' : `${first.path}: `;
  return { code: 'STATE_INVALID', text: `${where}${first?.message ?? ''}${rest}`, problems: shown };
}
