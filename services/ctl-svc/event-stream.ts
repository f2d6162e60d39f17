// One client of GET /events: server-sent events (WHATWG HTML, 9.2), resumed from Last-Event-ID.
import type { ServerResponse } from 'node:http';
import type { EventFeed } from './event-feed.ts';
import type { NumberedEvent } from './event-log.ts';

/** Between comments that keep the connection from counting as idle; the server ends it after a minute of silence. */
const KEEP_ALIVE_MS = 15_000;
/** A client that lets this much wait is cut off; it can resume from the last event that it read. */
const MAX_WAITING_BYTES = 64 * 1024;

function format({ id, type, json }: NumberedEvent): string {
  return `id: ${id}\nevent: ${type}\ndata: ${json}\n\n`;
}

/**
 * Sends until the client hangs up or ctl-svc ends. Without `lastEventId`, from now on. With one that is not known any more, first
 * an event `lost`: what happened meanwhile is told by the lists only.
 */
export function sendEvents(response: ServerResponse, feed: EventFeed, lastEventId: string | undefined): void {
  const send = (text: string): void => {
    if (response.writableLength > MAX_WAITING_BYTES) response.destroy();
    else response.write(text);
  };
  const missed = lastEventId === undefined ? [] : feed.log.since(Number(lastEventId));
  // An id alone is no event, but a client that reconnects before the first one resumes from it.
  if (lastEventId === undefined) send(`id: ${feed.log.lastId}\n\n`);
  if (missed === undefined) send(format({ id: feed.log.lastId, type: 'lost', json: '{"count":null}' }));
  else for (const event of missed) send(format(event));
  const leave = feed.listen((event) => send(format(event)));
  const leaveStop = feed.onStop(() => response.end());
  const timer = setInterval(() => send(': still here\n\n'), KEEP_ALIVE_MS);
  response.once('close', () => {
    clearInterval(timer);
    leave();
    leaveStop();
  });
}
