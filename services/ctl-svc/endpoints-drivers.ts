// The endpoints of drivers, as data.
import * as z from 'zod/mini';
import { driverRow } from '../../shared/schema/drivers.ts';
import { listDrivers, setDrivers } from './drivers.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

export const DRIVER_ENDPOINTS: readonly Endpoint[] = [
  endpoint(
    {
      method: 'GET',
      path: '/drivers',
      answer: z.union([z.array(driverRow), z.strictObject({})]),
      summary: 'drivers that the calling container names; for the host all',
    },
    listDrivers,
  ),
  ...(['load', 'unload'] as const).flatMap((action) => [
    endpoint({ method: 'PUT', path: `/drivers/${action}`, summary: `${action}s the manual ones` }, setDrivers(action)),
    endpoint(
      { method: 'PUT', path: `/drivers/{name}/${action}`, summary: `${action}s one of them`, errors: [404] },
      setDrivers(action),
    ),
  ]),
];
