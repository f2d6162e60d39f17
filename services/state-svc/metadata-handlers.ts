// What ctl-svc may ask about metadata: one short function per request.
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import type { stateContract } from './contract.ts';
import type { LiveSettings } from './live-settings.ts';
import type { Metadata } from './metadata.ts';
import { pageOf } from './metadata-limits.ts';

type MetadataRequest = 'listOverrides' | 'listMetadata' | 'setMetadata' | 'deleteMetadata';

export function metadataHandlers(
  metadata: Metadata,
  settings: LiveSettings,
): Pick<Handlers<typeof stateContract>, MetadataRequest> {
  return {
    listOverrides: () => ok({ overrides: overrideRows(settings) }),
    listMetadata({ kind, after }) {
      const { entries, next } = pageOf(metadata.entries(kind), after);
      return ok({ entries, next });
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

/** As they travel. */
export function overrideRows(settings: LiveSettings): { key: string; value: string }[] {
  return settings.overrides().map(({ key, value }) => ({ key, value }));
}
