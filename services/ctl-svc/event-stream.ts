// One client of GET /events: server-sent events (WHATWG HTML, 9.2), resumed from Last-Event-ID.
import type { ServerResponse } from 'node:http';
import type { EventFeed } from './event-feed.ts';
import type { NumberedEvent } from './event-log.ts';

/** Between comments that keep the connection from counting as idle; the server ends it after a minute of silence. */
const KEEP_ALIVE_MS = 15_000;

function format({ id, type, json }: NumberedEvent): string {
  return `id: ${id}\nevent: ${type}\ndata: ${json}\n\n`;
}

/**
 * Sends until the client hangs up or ctl-svc ends. Without `lastEventId`, from now on. Where what comes next is not known any more, because the
 * client was away or has not read for so long, it is an event `lost`: what happened meanwhile is told by the lists only.
 *
 * A client is a place in the log, which is common to all: no more is written than Node asks for, so one that does not read takes no memory.
 */
export function sendEvents(response: ServerResponse, feed: EventFeed, lastEventId: string | undefined): void {
  let sentId = lastEventId === undefined ? feed.log.lastId : Number(lastEventId);
  /** Until `drain`: the client has not taken yet what was written. */
  let isFull = false;
  const send = (text: string): void => {
    isFull = !response.write(text);
  };
  const goOn = (): void => {
    if (isFull || response.writableEnded) return;
    const next = feed.log.since(sentId) ?? [{ id: feed.log.lastId, type: 'lost', json: '{"count":null}' }];
    for (const event of next) {
      send(format(event));
      sentId = event.id;
      if (isFull) return;
    }
  };
  response.on('drain', () => {
    isFull = false;
    goOn();
  });
  // An id alone is no event, but a client that reconnects before the first one resumes from it.
  if (lastEventId === undefined) send(`id: ${sentId}\n\n`);
  goOn();
  const leave = feed.listen(goOn);
  const leaveStop = feed.onStop(() => response.end());
  const timer = setInterval(() => {
    if (!isFull && !response.writableEnded) send(': still here\n\n');
  }, KEEP_ALIVE_MS);
  response.once('close', () => {
    clearInterval(timer);
    leave();
    leaveStop();
  });
}
