// Who may send what to whom: derived from the contracts once, then looked up by topic on every frame.
import type { Contract, ServiceName } from './contract.ts';
import { topicId } from './topic.ts';

export interface RequestRoute {
  readonly kind: 'request';
  readonly name: string;
  readonly receiver: ServiceName;
  readonly callers: ReadonlySet<ServiceName>;
}
export interface EventRoute {
  readonly kind: 'event';
  readonly name: string;
  readonly publisher: ServiceName;
  readonly subscribers: readonly ServiceName[];
}
export type Route = RequestRoute | EventRoute;

/** Throws on two topics with one number or two contracts of one service: a build that must not start. */
export function createRoutingTable(contracts: readonly Contract[]): ReadonlyMap<number, Route> {
  const table = new Map<number, Route>();
  const add = (service: ServiceName, name: string, route: Route): void => {
    const id = topicId(service, name);
    const other = table.get(id);
    if (other !== undefined) throw new Error(`topics ${route.name} and ${other.name} collide; rename one`);
    table.set(id, route);
  };
  for (const { service, requests, events } of contracts) {
    for (const [request, { callers }] of Object.entries(requests)) {
      const name = `${service}.${request}`;
      add(service, request, { kind: 'request', name, receiver: service, callers: new Set(callers) });
    }
    for (const [event, { subscribers }] of Object.entries(events)) {
      add(service, event, { kind: 'event', name: `${service}.${event}`, publisher: service, subscribers });
    }
  }
  return table;
}
