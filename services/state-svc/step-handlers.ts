// What ctl-svc may ask about objects, uploads and steps: one short function per request.
import { type CallContext, fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { indexAfter, PAGE_BYTES, pageFrom } from '../../shared/ipc/page.ts';
import { MAX_COMMITMSG_BYTES, type StepRow } from '../../shared/schema/steps.ts';
import type { stateContract } from './contract.ts';
import type { RevisionRunner } from './revision-runner.ts';
import type { StepDesk } from './step-desk.ts';

type StepHandlers = Pick<
  Handlers<typeof stateContract>,
  | 'listObjects'
  | 'beginUpload'
  | 'finishUpload'
  | 'abandonUpload'
  | 'forgetUploads'
  | 'putStep'
  | 'listSteps'
  | 'stepProgress'
  | 'setCommitMessage'
>;

/** Rows of a page before they are looked at; what a row of objects can weigh at most. */
const OBJECTS_A_PAGE = Math.floor(PAGE_BYTES / 100);

/** `runner`: knows the name of the revision that runs, which is called `current` by whoever asks. */
export function createStepHandlers(desk: StepDesk, runner: Pick<RevisionRunner, 'revision' | 'decided'>): StepHandlers {
  const { objects, uploads, steps } = desk;
  const named = async (name: string, context: CallContext): Promise<string | undefined> => {
    if (name === 'current') await runner.decided.wait(context);
    const revision = name === 'current' ? runner.revision : name;
    return (await steps.has(revision)) ? revision : undefined;
  };
  return {
    async listObjects({ after }) {
      const names = await objects.list();
      const from = indexAfter(names, after, (name) => name);
      const page = names.slice(from, from + OBJECTS_A_PAGE);
      const found = await objects.findAll(page);
      const rows = found.map(({ sha256, bytes }) => ({ sha256, bytes }));
      const next = from + page.length < names.length ? page.at(-1) : undefined;
      return ok({ objects: rows, next });
    },
    async beginUpload(wanted, { signal }) {
      const began = await uploads.begin(wanted, signal);
      return began.kind === 'refused' ? fail(began.error) : ok(began);
    },
    async finishUpload({ id }) {
      const failure = await uploads.finish(id);
      return failure === undefined ? ok({}) : fail(failure);
    },
    async abandonUpload({ id }) {
      await uploads.abandon(id);
      return ok({});
    },
    async forgetUploads() {
      await uploads.abandonAll();
      return ok({});
    },
    async putStep({ name, id }) {
      const failure = await desk.put(name, id);
      return failure === undefined ? ok({}) : fail(failure);
    },
    async listSteps({ after }, context) {
      await runner.decided.wait(context);
      const names = await steps.list();
      const rows: StepRow[] = [];
      for (const name of names.slice(indexAfter(names, after, (each) => each))) {
        const row = await steps.row(name);
        if (row !== undefined) rows.push(row);
        // The page is cut by its bytes; what can never be in it need not be read.
        if (rows.length * MIN_ROW_BYTES > PAGE_BYTES) break;
      }
      const page = pageFrom(rows, 0, ({ name }) => name);
      return ok({
        steps: page.rows,
        current: runner.revision,
        next: page.next,
      });
    },
    async stepProgress({ name }, context) {
      const revision = await named(name, context);
      if (revision === undefined) return fail({ code: 'NO_SUCH_STEP', name });
      return ok({ revision, progress: await steps.progress(revision) });
    },
    async setCommitMessage({ name, message }, context) {
      const revision = await named(name, context);
      if (revision === undefined) return fail({ code: 'NO_SUCH_STEP', name });
      const bytes = Buffer.byteLength(message);
      if (bytes > MAX_COMMITMSG_BYTES) return fail({ code: 'TOO_LONG', bytes, maxBytes: MAX_COMMITMSG_BYTES });
      try {
        await steps.setCommitMessage(revision, message);
        return ok({});
      } catch (error) {
        return fail({ code: 'STORE_FAILED', reason: String(error).slice(0, 500) });
      }
    },
  };
}

/** Of a row of steps as JSON: its keys and texts alone. */
const MIN_ROW_BYTES = 150;
