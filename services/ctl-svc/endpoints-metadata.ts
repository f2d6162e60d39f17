// The endpoints of user-meta and device-meta, as data.
import * as z from 'zod/mini';
import { type Endpoint, endpoint, endpointWithText } from './endpoint.ts';
import { deleteMetadata, listMetadata, setMetadata } from './metadata.ts';

export const METADATA_ENDPOINTS: readonly Endpoint[] = [
  endpoint(
    {
      method: 'GET',
      path: '/user-meta',
      answer: z.record(z.string(), z.string()),
      summary: 'what the user set, by key',
    },
    listMetadata('user'),
  ),
  // A value that is itself a JSON document is shown as that.
  endpoint(
    {
      method: 'GET',
      path: '/device-meta',
      answer: z.record(z.string(), z.unknown()),
      summary: 'what the device says of itself, by key',
    },
    listMetadata('device'),
  ),
  ...(['user', 'device'] as const).flatMap((kind) => {
    const path = `/${kind}-meta/{key}`;
    return [
      endpointWithText(
        { method: 'PUT', path, summary: 'sets a key to the body', errors: [409, 507] },
        setMetadata(kind),
      ),
      endpoint(
        { method: 'DELETE', path, summary: 'removes a key', errors: [400, 404, 409, 507] },
        deleteMetadata(kind),
      ),
    ];
  }),
];
