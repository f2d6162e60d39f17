// The last events, numbered, so that a client that was away can go on where it was. Pure.

export interface NumberedEvent {
  /** Grows by one with each event; over a restart of ctl-svc it only grows. */
  readonly id: number;
  readonly type: string;
  /** JSON, one line. */
  readonly json: string;
}

export interface EventLog {
  /** From now on events are kept: before the first client, nobody has a number to ask from. */
  keep(): void;
  /** Undefined: it took a number, and is not kept. */
  append(type: string, value: unknown): NumberedEvent | undefined;
  /** What came after `id`. Undefined when some of it is not known any more, or `id` is none of ours: take the lists anew. */
  since(id: number): readonly NumberedEvent[] | undefined;
  /** The newest number; 0 events after it have been seen by nobody. */
  readonly lastId: number;
}

/** Half a minute of a device on which everything restarts. */
const KEPT_EVENTS = 512;

/** `firstId`: greater than any number that an earlier log has given out. */
export function createEventLog(firstId: number): EventLog {
  let kept: NumberedEvent[] | undefined;
  let lastId = firstId;
  return {
    keep() {
      kept ??= [];
    },
    append(type, value) {
      lastId += 1;
      if (kept === undefined) return undefined;
      const event = { id: lastId, type, json: JSON.stringify(value) };
      kept.push(event);
      if (kept.length > KEPT_EVENTS) kept.shift();
      return event;
    },
    since(id) {
      const oldest = kept?.[0]?.id ?? lastId + 1;
      if (!Number.isInteger(id) || id > lastId || id < oldest - 1) return undefined;
      return kept?.slice(id + 1 - oldest) ?? [];
    },
    get lastId() {
      return lastId;
    },
  };
}
