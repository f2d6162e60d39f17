// The part of state-svc that keeps objects and revisions, as far as ctl-svc can tell: files for uploads, everything else in memory.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stateContract } from '../../services/state-svc/contract.ts';
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import type { CommandOp, StepProgress, StepRow } from '../../shared/schema/steps.ts';

const NEW = { status: 'NEW', 'status-msg': 'Update ready to be run', progress: 0, retries: 0 } as const;

export interface FakeStore {
  readonly folder: string;
  /** sha256 → content. */
  readonly objects: Map<string, Buffer>;
  readonly steps: Map<string, StepRow>;
  /** What was put, as it came. */
  readonly states: Map<string, string>;
  /** Upload → the sha256 that it is to have; undefined for a step. */
  readonly uploads: Map<string, string | undefined>;
  /** What an upload may have at most. */
  roomBytes: number;
  /** An upload is begun, and the answer does not come. */
  answersNoBegin: boolean;
  /** Set: what the next commands are told. */
  busy: string | undefined;
  readonly commands: string[];
  /** Of every step, where one is asked for alone. */
  progress: StepProgress;
  /** Problems that the next state is found to have. */
  problems: readonly { readonly path: string; readonly code: string; readonly message: string }[];
  remove(): void;
}

export function newStore(): FakeStore {
  let folder: string | undefined;
  return {
    // Made for the first upload: a world that nobody starts leaves nothing behind.
    get folder() {
      folder ??= mkdtempSync(join(tmpdir(), 'ctl-store-'));
      return folder;
    },
    objects: new Map(),
    steps: new Map([['0', row('0', '')]]),
    states: new Map(),
    uploads: new Map(),
    roomBytes: 1 << 30,
    answersNoBegin: false,
    busy: undefined,
    commands: [],
    progress: NEW,
    problems: [],
    remove() {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

function row(name: string, commitmsg: string): StepRow {
  return { name, date: '2026-01-01T00:00:00Z', commitmsg, progress: NEW };
}

const { requests } = stateContract;
export const stepRequests = {
  listObjects: requests.listObjects,
  beginUpload: requests.beginUpload,
  finishUpload: requests.finishUpload,
  abandonUpload: requests.abandonUpload,
  forgetUploads: requests.forgetUploads,
  putStep: requests.putStep,
  listSteps: requests.listSteps,
  stepProgress: requests.stepProgress,
  setCommitMessage: requests.setCommitMessage,
  runCommand: requests.runCommand,
  collectGarbage: requests.collectGarbage,
};
const part = { ...stateContract, requests: stepRequests };

const UNSUPPORTED: readonly CommandOp[] = ['ENABLE_SSH', 'GO_REMOTE', 'UPDATE_METADATA', 'XCONNECT_GRAPH'];
/** The disk takes no factory of it. */
export const TOO_LARGE = 'locals/too-large';

export function fakeSteps(store: FakeStore): Handlers<typeof part> {
  const take = (id: string): Buffer => {
    store.uploads.delete(id);
    const bytes = readFileSync(join(store.folder, id));
    rmSync(join(store.folder, id));
    return bytes;
  };
  return {
    listObjects: () => ok({ objects: [...store.objects].map(([sha256, { length: bytes }]) => ({ sha256, bytes })) }),
    beginUpload({ id, sha256, bytes = 0 }) {
      const present = sha256 === undefined ? undefined : store.objects.get(sha256);
      if (present !== undefined) return ok({ kind: 'present', bytes: present.length });
      if (bytes > store.roomBytes) {
        return fail({ code: 'NO_SPACE', requiredBytes: bytes, availableBytes: store.roomBytes });
      }
      store.uploads.set(id, sha256);
      writeFileSync(join(store.folder, id), '');
      if (store.answersNoBegin) throw new Error('nobody hears of it');
      return ok({ kind: 'upload', path: join(store.folder, id), roomBytes: store.roomBytes });
    },
    finishUpload({ id }) {
      const sha256 = store.uploads.get(id);
      if (sha256 === undefined) return fail({ code: 'NO_SUCH_UPLOAD' });
      store.objects.set(sha256, take(id));
      return ok({});
    },
    abandonUpload({ id }) {
      if (store.uploads.has(id)) take(id);
      return ok({});
    },
    forgetUploads: () => ok({}),
    putStep({ name, id }) {
      if (!store.uploads.has(id)) return fail({ code: 'NO_SUCH_UPLOAD' });
      const state = take(id).toString();
      if (name.includes('/', 'locals/'.length)) return fail({ code: 'BAD_STEP_NAME', reason: 'no further /' });
      if (store.problems.length > 0) return fail({ code: 'STATE_INVALID', text: 'x', problems: [...store.problems] });
      store.steps.set(name, row(name, ''));
      store.states.set(name, state);
      return ok({});
    },
    listSteps: () => ok({ steps: [...store.steps.values()], current: '0' }),
    stepProgress({ name }) {
      const revision = name === 'current' ? '0' : name;
      return store.steps.has(revision)
        ? ok({ revision, progress: store.progress })
        : fail({ code: 'NO_SUCH_STEP', name });
    },
    setCommitMessage({ name, message }) {
      if (!store.steps.has(name)) return fail({ code: 'NO_SUCH_STEP', name });
      if (message.length > 512) return fail({ code: 'TOO_LONG', bytes: message.length, maxBytes: 512 });
      store.steps.set(name, row(name, message));
      return ok({});
    },
    runCommand({ op, payload }) {
      if (store.busy !== undefined) return fail({ code: 'BUSY', doing: store.busy, retryAfterSeconds: 3 });
      if (UNSUPPORTED.includes(op)) return fail({ code: 'UNSUPPORTED', reason: 'not in this build' });
      if (op === 'MAKE_FACTORY' && payload === TOO_LARGE)
        return fail({ code: 'STORE_FAILED', reason: 'the disk is full' });
      if (op === 'LOCAL_RUN' && !store.steps.has(payload)) return fail({ code: 'NO_SUCH_STEP', name: payload });
      store.commands.push(`${op} ${payload}`);
      return ok({});
    },
    collectGarbage: () => ok({ reclaimedBytes: 42 }),
  };
}
