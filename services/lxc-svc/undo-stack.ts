// Steps that are taken back in reverse when a later one fails.

export interface UndoStack {
  /** What takes the last step back. */
  push(undo: () => Promise<unknown>): void;
}

/** Throws what `act` throws, after everything it pushed was undone; what cannot be undone is told to `onLeft`. */
export async function withUndo<T>(act: (undos: UndoStack) => Promise<T>, onLeft: (error: unknown) => void): Promise<T> {
  const undos: (() => Promise<unknown>)[] = [];
  try {
    return await act({ push: (undo) => undos.push(undo) });
  } catch (error) {
    for (const undo of undos.reverse()) await undo().catch(onLeft);
    throw error;
  }
}
