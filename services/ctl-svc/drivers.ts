// What the endpoints of drivers do. A container is answered about the drivers that it names, the host about all.
import { allPages } from '../../shared/ipc/page.ts';
import type { Caller, Handler } from './endpoint.ts';
import { DONE, json, type Reply, refuse, tryLater } from './reply.ts';

/** Carries the reason out of a list that takes several requests. */
class NotNow extends Error {}

export const listDrivers: Handler<undefined> = async ({ caller, signal }, { peers }) => {
  try {
    const drivers = await allPages(async (after) => {
      const params = { ...ownerOf(caller), after };
      const answer = await peers.state.listDrivers(params, { signal: signal() });
      if (!answer.ok) throw new NotNow(answer.error.reason);
      return { rows: answer.value.drivers, next: answer.value.next };
    });
    // The stock runtime's word for none.
    return json(drivers.length === 0 ? {} : drivers);
  } catch (error) {
    if (error instanceof NotNow) return notNow(error.message);
    throw error;
  }
};

export function setDrivers(action: 'load' | 'unload'): Handler<undefined> {
  return async ({ caller, params, signal }, { peers }) => {
    const asked = { action, ...ownerOf(caller), driver: params.name };
    const answer = await peers.state.setDrivers(asked, { signal: signal() });
    if (answer.ok) return DONE;
    const { error } = answer;
    switch (error.code) {
      case 'DRIVER_NOT_FOUND':
        return refuse(
          404,
          `Driver '${shown(params.name)}' not found: bsp/drivers.json has none of that name for this board`,
        );
      case 'MODPROBE_FAILED':
        return refuse(500, `Driver '${error.driver}' cannot be ${action}ed: modprobe ${error.module}: ${error.reason}`);
      case 'NOT_NOW':
        return notNow(error.reason);
    }
  };
}

function notNow(reason: string): Reply {
  return tryLater(`Drivers cannot be reached now: ${reason}; try again`);
}

function ownerOf(caller: Caller): { container?: string } {
  return caller.kind === 'host' ? {} : { container: caller.container };
}

function shown(name: string | undefined): string {
  return (name ?? '').slice(0, 64);
}
