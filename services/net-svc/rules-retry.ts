// Rules that the programs did not take, as on a machine that is too busy for them, are tried again although nobody tells of a change.

/** A program a minute is nothing that a machine without nft notices, and a minute longer than a start keeps one busy. */
export const RULES_RETRY_MS = 60_000;

export interface RulesRetry {
  /** How the latest try ended. */
  tried(worked: boolean): void;
}

/** `again` tells of its end by `tried`, as every try does. It never rejects. */
export function createRulesRetry(again: () => Promise<void>, pauseMs: number): RulesRetry {
  let timer: NodeJS.Timeout | undefined;
  return {
    tried(worked) {
      clearTimeout(timer);
      timer = worked ? undefined : setTimeout(again, pauseMs).unref();
    },
  };
}
