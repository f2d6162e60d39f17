// Joins the parts of ctl-svc over a channel and the host's listening socket.
import type { Written } from '../../shared/config/settings.ts';
import type { Channel } from '../../shared/ipc/contract.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { ctlContract } from './contract.ts';
import { serveControlSockets } from './control-sockets.ts';
import { createDispatch } from './dispatch.ts';
import { ENDPOINTS } from './endpoints.ts';
import { createEventFeed } from './event-feed.ts';
import { createFigures } from './figures.ts';
import { createControlServer } from './http-server.ts';
import { connectPeers } from './peers.ts';
import { createRouter } from './router.ts';
import { createViewFeed } from './view-feed.ts';

export interface ServeOptions {
  readonly hostFd: number;
  readonly storage: string;
  readonly settings?: readonly Written[] | undefined;
}

/** Resolves when the host's socket is served, to what ends it all. */
export async function serveControl(
  channel: Channel,
  { hostFd, storage, settings = [] }: ServeOptions,
  log: Logger,
): Promise<() => void> {
  channel.serve(ctlContract, {});
  const view = createViewFeed(channel, log);
  const events = createEventFeed(channel);
  const peers = connectPeers(channel);
  const figures = createFigures();
  const sources = { view, events, peers, figures, storage, settings };
  const router = createRouter(ENDPOINTS);
  const isUpload = (method: string, target: string): boolean => {
    const route = router(method, target);
    return route.kind === 'found' && route.endpoint.takes === 'stream';
  };
  const control = createControlServer(createDispatch(router, sources, log), figures, { isUpload });
  // Whoever was uploading to the ctl-svc before this one has to start over. state-svc may not be there yet, and forgets by itself then.
  peers.state.forgetUploads({}).catch((error: unknown) => log.debug(`uploads of before: ${String(error)}`));
  const sockets = await serveControlSockets(channel, hostFd, control, log);
  return () => {
    sockets.stop();
    events.stop();
    view.stop();
  };
}
