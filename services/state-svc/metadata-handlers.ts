// What ctl-svc may ask about metadata: one short function per request.
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import type { stateContract } from './contract.ts';
import type { Metadata } from './metadata.ts';
import { pageOf } from './metadata-limits.ts';

type MetadataRequest = 'listMetadata' | 'setMetadata' | 'deleteMetadata';

export function metadataHandlers(metadata: Metadata): Pick<Handlers<typeof stateContract>, MetadataRequest> {
  return {
    listMetadata({ kind, after }) {
      const { entries, next } = pageOf(metadata.entries(kind), after);
      return ok({ entries: [...entries], ...(next === undefined ? {} : { next }) });
    },
    async setMetadata({ kind, key, value }) {
      const refusal = await metadata.set(kind, key, value);
      return refusal === undefined ? ok({}) : fail(refusal);
    },
    async deleteMetadata({ kind, key }) {
      const refusal = await metadata.delete(kind, key);
      return refusal === undefined ? ok({}) : fail(refusal);
    },
  };
}
