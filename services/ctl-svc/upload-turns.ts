// Uploads of one socket: a few at a time, and the next ones wait for their turn, in their order, with nothing of them read.

/** Runs `act` when its turn has come. Undefined: there are too many who wait, it took too long, or `gone` was aborted. */
export type UploadTurns = <T>(act: () => Promise<T>, gone: AbortSignal) => Promise<T | undefined>;

export interface UploadLimits {
  readonly atATime: number;
  readonly waiting: number;
  /** Milliseconds that one waits. */
  readonly patienceMs: number;
}

export function createUploadTurns({ atATime, waiting, patienceMs }: UploadLimits): UploadTurns {
  let underWay = 0;
  /** Each is told whether it has a turn. */
  const line = new Set<(hasTurn: boolean) => void>();
  const waitForTurn = (gone: AbortSignal): Promise<boolean> =>
    new Promise((resolve) => {
      const end = (hasTurn: boolean): void => {
        line.delete(end);
        clearTimeout(patience);
        gone.removeEventListener('abort', leave);
        resolve(hasTurn);
      };
      const leave = (): void => end(false);
      const patience = setTimeout(leave, patienceMs);
      gone.addEventListener('abort', leave);
      line.add(end);
    });
  return async (act, gone) => {
    if (underWay < atATime) underWay += 1;
    else if (line.size >= waiting || gone.aborted || !(await waitForTurn(gone))) return undefined;
    try {
      return await act();
    } finally {
      // The turn is handed on, or over.
      const [next] = line;
      if (next === undefined) underWay -= 1;
      else next(true);
    }
  };
}
