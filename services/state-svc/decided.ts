// Whether it is known which revision this start runs. After a restart of the tree lxc-svc may have to be asked first, and it may be
// away: until then nobody is told that there are no containers, or that those he means do not exist.

export interface Decided {
  readonly isKnown: boolean;
  /** Resolves at once when it is known; rejects when `context` is aborted before: whoever asked has been told to come back. */
  wait(context: { readonly signal: AbortSignal }): Promise<void>;
  known(): void;
}

export function createDecided(): Decided {
  let isKnown = false;
  let tell: () => void = () => undefined;
  const decided = new Promise<void>((resolve) => {
    tell = resolve;
  });
  return {
    get isKnown() {
      return isKnown;
    },
    wait(context) {
      if (isKnown) return Promise.resolve();
      const { signal } = context;
      const aborted = new Promise<never>((_, reject) => {
        const give = (): void => reject(new Error('it is not known yet which revision runs'));
        if (signal.aborted) give();
        else signal.addEventListener('abort', give, { once: true });
      });
      return Promise.race([decided, aborted]);
    },
    known() {
      isKnown = true;
      tell();
    },
  };
}
