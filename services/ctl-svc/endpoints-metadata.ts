// The endpoints of user-meta and device-meta, as data.
import * as z from 'zod/mini';
import { type Endpoint, endpoint, endpointWithText } from './endpoint.ts';
import { deleteMetadata, listMetadata, setMetadata } from './metadata.ts';

export const METADATA_ENDPOINTS: readonly Endpoint[] = [
  endpoint(
    { method: 'GET', path: '/user-meta', access: 'mgmt', answer: z.record(z.string(), z.string()) },
    listMetadata('user'),
  ),
  // A value that is itself a JSON document is shown as that.
  endpoint(
    { method: 'GET', path: '/device-meta', access: 'mgmt', answer: z.record(z.string(), z.unknown()) },
    listMetadata('device'),
  ),
  ...(['user', 'device'] as const).flatMap((kind) => {
    const base = { path: `/${kind}-meta/{key}`, access: 'mgmt', answer: undefined } as const;
    return [
      endpointWithText({ ...base, method: 'PUT' }, setMetadata(kind)),
      endpoint({ ...base, method: 'DELETE' }, deleteMetadata(kind)),
    ];
  }),
];
