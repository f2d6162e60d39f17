// What containers say, within a budget for each: kept on disk until it is laid down, dropped with a count above that.
import { type AcceptedMessages, type DroppedBy, openAcceptedMessages } from './accepted-messages.ts';
import type { LogMessage, LogSink } from './log-flow.ts';
import { createBudget, type Dropped, LIMITS, type Limits, type MessageBudget } from './message-budget.ts';

/** What whoever reads for a container is given for one turn. */
export interface Turn {
  /** Whether the next message is kept. */
  isOpen(): boolean;
  /** `bytes`: what it cost to say. To be called before the message leaves where it would outlive us. */
  keep(message: LogMessage, bytes: number): void;
  /** Instead of `keep`. */
  drop(): void;
}

export interface MessageKeeper {
  /** Hands on what a predecessor accepted and did not lay down. */
  start(sink: LogSink): void;
  /** Answers what `read` answers. When it returns, all that was kept is laid down; also when it throws. */
  turn<T>(container: string, read: (turn: Turn) => T): T;
  isOverBudget(container: string): boolean;
  /** Says what it dropped. */
  forget(container: string): void;
  stop(): void;
}

export function createMessageKeeper(acceptedPath: string, limits: Limits = LIMITS): MessageKeeper {
  const budgets = new Map<string, MessageBudget>();
  let sink: LogSink | undefined;
  let accepted: AcceptedMessages | undefined;
  let reporting: NodeJS.Timeout | undefined;

  const nowMs = (): number => performance.now();
  const budgetOf = (container: string): MessageBudget => {
    const known = budgets.get(container) ?? createBudget(limits);
    budgets.set(container, known);
    return known;
  };
  const report = (container: string, loss: Dropped | undefined): void => {
    if (loss !== undefined) sink?.messages([lossMessage(container, loss)]);
  };
  /** Says what is to be said of dropped messages now, and remembers what is to be said later. */
  const settle = (isLast: boolean): void => {
    const unreported: DroppedBy[] = [];
    const at = nowMs();
    for (const [container, budget] of budgets) {
      report(container, budget.takeReport(at, isLast));
      const later = budget.pending(at);
      if (later !== undefined) unreported.push({ container, ...later });
    }
    accepted?.finish(unreported);
    if (unreported.length === 0) return;
    reporting ??= setTimeout(() => {
      reporting = undefined;
      settle(false);
    }, limits.reportMs);
  };

  return {
    start(to) {
      sink = to;
      accepted = openAcceptedMessages(acceptedPath);
      const { messages, dropped } = accepted.leftOver;
      if (messages.length > 0) to.messages(messages);
      for (const { container, ...loss } of dropped) report(container, loss);
      accepted.finish([]);
    },
    turn(container, read) {
      const budget = budgetOf(container);
      const batch: LogMessage[] = [];
      try {
        return read({
          isOpen: () => budget.isOpen(nowMs()),
          keep(message, bytes) {
            budget.spend(bytes);
            accepted?.accept(message);
            batch.push(message);
          },
          drop: () => budget.drop(nowMs()),
        });
      } finally {
        if (batch.length > 0) sink?.messages(batch);
        settle(false);
      }
    },
    isOverBudget: (container) => !budgetOf(container).isOpen(nowMs()),
    forget(container) {
      report(container, budgets.get(container)?.takeReport(nowMs(), true));
      budgets.delete(container);
      settle(false);
    },
    stop() {
      settle(true);
      clearTimeout(reporting);
      accepted?.close();
      accepted = undefined;
      sink = undefined;
    },
  };
}

function lossMessage(container: string, { messages, forMs }: Dropped): LogMessage {
  const text = `${messages} messages dropped in ${forMs} ms: more than is kept of one container`;
  return noteOf(container, text);
}

/** What this service says in a container's log. */
export function noteOf(container: string, text: string): LogMessage {
  const origin = { kind: 'container', name: container } as const;
  return { timeMs: Date.now(), level: 'WARN', origin, src: 'log', text, fields: {} };
}
