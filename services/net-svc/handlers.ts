// One short function per request: what is asked of the domain, and its expected failures as answers.
import { fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { attach, listAttachments } from './attachments.ts';
import type { netContract } from './contract.ts';
import { createDetachQueue } from './detachments.ts';
import type { HostNetwork } from './host-network.ts';
import { NetFailure } from './net-failure.ts';
import type { Namespaces } from './netns.ts';

/** Anything but a NetFailure is a bug and goes on up. */
function netFailed(error: unknown) {
  if (!(error instanceof NetFailure)) throw error;
  return fail({ code: 'NET_FAILED', step: error.step, reason: error.reason });
}

export function netHandlers(namespaces: Namespaces, host: HostNetwork): Handlers<typeof netContract> {
  const detach = createDetachQueue(namespaces);
  return {
    configure: async ({ pools }) => {
      try {
        return ok({ nat: await host.configure(pools) });
      } catch (error) {
        return netFailed(error);
      }
    },
    attach: ({ container, interfaces }) => {
      try {
        const { netns, interfaces: attached } = attach(namespaces, container, interfaces);
        return ok({ container, netns, interfaces: [...attached] });
      } catch (error) {
        return netFailed(error);
      }
    },
    detach: async ({ container }) => {
      try {
        await detach(container);
        return ok({});
      } catch (error) {
        return netFailed(error);
      }
    },
    listAttachments: () =>
      ok({
        attachments: listAttachments(namespaces).map((attachment) => ({
          ...attachment,
          interfaces: [...attachment.interfaces],
        })),
      }),
    health: () => ok({ reasons: [...host.healthReasons()] }),
  };
}
