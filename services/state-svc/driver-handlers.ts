// What ctl-svc may ask about drivers: one short function per request.
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import { pageFrom } from '../../shared/ipc/page.ts';
import type { stateContract } from './contract.ts';
import type { Drivers } from './drivers.ts';

export function driverHandlers(drivers: Drivers): Pick<Handlers<typeof stateContract>, 'listDrivers' | 'setDrivers'> {
  return {
    listDrivers: ({ container, after }) =>
      unlessGone(async () => {
        const all = await drivers.list(container);
        const index = 1 + all.findIndex(({ name }) => name === after);
        const { rows, next } = pageFrom(all, index, ({ name }) => name);
        return ok({ drivers: rows, next });
      }),
    setDrivers: ({ action, container, driver }) =>
      unlessGone(async () => {
        const refusal = await drivers.set(action, container, driver);
        return refusal === undefined ? ok({}) : fail(refusal);
      }),
  };
}

/** lxc-svc is being restarted, or is busy beyond the deadline. */
async function unlessGone<T>(act: () => Promise<T>) {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Fault) return fail({ code: 'NOT_NOW', reason: String(error) });
    throw error;
  }
}
