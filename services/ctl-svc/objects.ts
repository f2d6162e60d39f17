// What the endpoints of the object store do.
import { join } from 'node:path';
import { allPages } from '../../shared/ipc/page.ts';
import { errorCode, reasonOf } from '../../shared/kernel/system-error.ts';
import { sha256 } from '../../shared/schema/names.ts';
import type { BodyStream } from './body-stream.ts';
import type { Handler } from './endpoint.ts';
import { fileReply } from './file-reply.ts';
import { DONE, json, type Reply, refuse } from './reply.ts';
import { BAD_CHECKSUM, receive, storeRefusal } from './upload.ts';

export const listObjects: Handler<undefined> = async (request, { peers }) => {
  const objects = await allPages(async (after) => {
    const answer = await peers.state.listObjects({ after }, { signal: request.signal() });
    // It has no declared errors.
    return answer.ok ? { rows: answer.value.objects, next: answer.value.next } : { rows: [], next: undefined };
  });
  return json(objects.map((object) => ({ sha256: object.sha256, size: String(object.bytes) })));
};

export const getObject: Handler<undefined> = async ({ params }, { storage }) => {
  const name = sha256.safeParse(params.sha256);
  if (!name.success) return badName(params.sha256);
  try {
    return await fileReply(join(storage, 'objects', name.data), 'application/octet-stream');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return refuse(404, 'Object not found');
    return refuse(500, `Object cannot be read: ${reasonOf(error)}`);
  }
};

export const putObject: Handler<BodyStream> = async ({ params, body }, sources) => {
  const { peers } = sources;
  const name = sha256.safeParse(params.sha256);
  if (!name.success) {
    await body.discard();
    return badName(params.sha256);
  }
  const received = await receive(body, name.data, sources);
  switch (received.kind) {
    case 'present':
      return DONE;
    case 'refused':
      return received.reply;
    case 'written': {
      if (received.sha256 !== name.data) {
        await peers.state.abandonUpload({ id: received.id });
        return BAD_CHECKSUM;
      }
      const finished = await peers.state.finishUpload({ id: received.id });
      return finished.ok ? DONE : storeRefusal(finished.error);
    }
  }
};

function badName(given: string | undefined): Reply {
  return refuse(
    400,
    `Object name '${(given ?? '').slice(0, 80)}' is not valid: it has to be a sha256, 64 lower-case hex digits`,
  );
}
