// Joins the parts of ctl-svc over a channel and the host's listening socket.
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { ctlContract } from './contract.ts';
import { serveControlSockets } from './control-sockets.ts';
import { createDispatch } from './dispatch.ts';
import { ENDPOINTS } from './endpoints.ts';
import { createEventFeed } from './event-feed.ts';
import { connectPeers } from './peers.ts';
import { createRouter } from './router.ts';
import { createViewFeed } from './view-feed.ts';

/** Resolves when the host's socket is served, to what ends it all. */
export async function serveControl(channel: Channel, hostFd: number, log: Logger): Promise<() => void> {
  channel.serve(ctlContract, {});
  const view = createViewFeed(channel, log);
  const events = createEventFeed(channel);
  const dispatch = createDispatch(createRouter(ENDPOINTS), { view, events, peers: connectPeers(channel) }, log);
  const sockets = await serveControlSockets(channel, hostFd, dispatch, log);
  return () => {
    sockets.stop();
    events.stop();
    view.stop();
  };
}
