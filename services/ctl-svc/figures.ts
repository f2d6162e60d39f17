// What ctl-svc counts of its own work, for GET /metrics: bounded by what it declares, never by what clients send.

/** What is told of an endpoint. Each is counted for itself. */
interface Counted {
  readonly method: string;
  readonly path: string;
}

export interface AnswerCount {
  /** Undefined for what reached no endpoint: no HTTP, an unknown path, a wrong method, too many at a time. */
  readonly endpoint: Counted | undefined;
  readonly status: number;
  readonly count: number;
}

export interface Figures {
  countAnswer(endpoint: Counted | undefined, status: number): void;
  countUploaded(bytes: number): void;
  answers(): readonly AnswerCount[];
  readonly uploadedBytes: number;
}

export function createFigures(): Figures {
  const answers = new Map<Counted | undefined, Map<number, number>>();
  let uploadedBytes = 0;
  return {
    countAnswer(endpoint, status) {
      let counts = answers.get(endpoint);
      if (counts === undefined) {
        counts = new Map();
        answers.set(endpoint, counts);
      }
      counts.set(status, (counts.get(status) ?? 0) + 1);
    },
    countUploaded(bytes) {
      uploadedBytes += bytes;
    },
    answers: () =>
      [...answers].flatMap(([endpoint, counts]) => [...counts].map(([status, count]) => ({ endpoint, status, count }))),
    get uploadedBytes() {
      return uploadedBytes;
    },
  };
}
