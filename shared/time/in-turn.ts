// Work that must not overlap, one after the other. Pure.

/** Answers as `act` does, which starts when all before it is over, however that ended. Never starts it at once. */
export type InTurn = <T>(act: () => Promise<T>) => Promise<T>;

export function createTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (act) => {
    const turn = last.then(act);
    last = turn.catch(() => undefined);
    return turn;
  };
}
