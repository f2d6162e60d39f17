// What a service offers, asks for and may touch, as data: the one declaration from which clients, handlers, the
// broker's caller table, the supervisor's privileges and the README's table are all derived.
import type * as z from 'zod/mini';
import type { ServiceUser } from '../service/users.ts';

export type Schema = z.ZodMiniType;

export const SERVICE_NAMES = [
  'supervisor',
  'log-svc',
  'ipam-svc',
  'net-svc',
  'lxc-svc',
  'state-svc',
  'ctl-svc',
] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** One procedure. `errors` maps an expected error's code to the schema of the data that travels with it. */
export interface RequestSpec {
  readonly callers: readonly ServiceName[];
  readonly params: Schema;
  readonly result: Schema;
  readonly errors: Readonly<Record<string, Schema>>;
  /** Safe to run twice with the same params: the client repeats it once when the receiver dies under it. */
  readonly idempotent: boolean;
  /** Milliseconds the caller waits unless it says otherwise; the receiver is cancelled after that. */
  readonly deadlineMs: number;
}

/** Something that happened, told to the listed services while they live. */
export interface EventSpec {
  readonly subscribers: readonly ServiceName[];
  readonly payload: Schema;
}

/** Names as in capabilities(7), without the CAP_ prefix, lower case, as setpriv(1) takes them. */
export type Capability = string;

export interface PermissionModel {
  readonly workers: boolean;
  /**
   * Paths are fenced by the service's user alone. Node makes symbolic links only for processes without a fence around
   * paths ("fs.symlink API requires full fs.read and fs.write permissions").
   */
  readonly anyPath?: boolean;
  /** Whether native addons may be loaded. What they do is fenced by the user alone. */
  readonly addons?: boolean;
}

export interface Privileges {
  /** A user of the installer's; without one the supervisor uses the fixed uid of shared/service/users.ts. */
  readonly user: ServiceUser;
  /** Effective, permitted, inheritable, ambient and bounding set: all five are exactly this list (root's ambient stays empty). */
  readonly capabilities: readonly Capability[];
  /** Why each of them is needed; every capability has a line. */
  readonly reasons: Readonly<Record<Capability, string>>;
  readonly noNewPrivileges: boolean;
  readonly umask: number;
  /** Node's permission model (no child processes, no addons unless named, files by path); undefined where native code makes it no fence. */
  readonly permissionModel: PermissionModel | undefined;
}

/** Paths with the placeholders <rundir> and <storage>. `owns`: created by the supervisor and given to the service's user. */
export interface FileAccess {
  readonly owns: readonly string[];
  /** Some of these, which may be the mount of a boot partition: where that has no owners (FAT), or is read-only, it is left as it is, and read. */
  readonly ownsOrReads?: readonly string[];
  readonly reads: readonly string[];
  /** Written, but owned by somebody else. */
  readonly writes: readonly string[];
  /** Folders of its own that another service's user writes into: they have that one's group (mode 2770), which new files inherit. */
  readonly shared?: readonly SharedFolder[];
}

export interface SharedFolder {
  readonly path: string;
  readonly with: ServiceUser;
}

/** How the supervisor tells a healthy service from a hanging one. */
export interface Watch {
  /** Milliseconds from spawn to `ready`; later it is killed and restarted. */
  readonly readyMs: number;
  /** Milliseconds between heartbeats. */
  readonly beatMs: number;
  /** Heartbeats that may be missed before SIGKILL. */
  readonly missedBeats: number;
}

export interface Contract {
  readonly service: ServiceName;
  /** One sentence: the job, and nothing else. */
  readonly job: string;
  readonly privileges: Privileges;
  readonly files: FileAccess;
  readonly watch: Watch;
  readonly requests: Readonly<Record<string, RequestSpec>>;
  readonly events: Readonly<Record<string, EventSpec>>;
}

/** Declares a contract; the identity function, so that literal types survive. */
export function defineContract<const C extends Contract>(contract: C): C {
  return contract;
}

export type Params<R extends RequestSpec> = z.input<R['params']>;
export type ParsedParams<R extends RequestSpec> = z.output<R['params']>;
export type Result<R extends RequestSpec> = z.output<R['result']>;
/** zod's type of an empty object is Record<string, never>, beside which no `code` could stand. */
type Fields<T> = string extends keyof T ? unknown : T;
type ErrorOf<R extends RequestSpec> = {
  [Code in keyof R['errors'] & string]: { code: Code } & Fields<z.output<R['errors'][Code]>>;
}[keyof R['errors'] & string];

/** What one of these requests may be refused with. */
export type Refusal<C extends Contract, K extends keyof C['requests'] & string> = {
  [Name in K]: ErrorOf<C['requests'][Name]>;
}[K];

/** What a request answers: its result or one of its declared errors. Faults (see fault.ts) are thrown instead. */
export type Answer<R extends RequestSpec> =
  | { readonly ok: true; readonly value: Result<R> }
  | { readonly ok: false; readonly error: ErrorOf<R> };

export interface CallOptions {
  /** Milliseconds, instead of the contract's. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export type Client<C extends Contract> = {
  readonly [K in keyof C['requests'] & string]: (
    params: Params<C['requests'][K]>,
    options?: CallOptions,
  ) => Promise<Answer<C['requests'][K]>>;
};

export interface CallContext {
  /** Stamped by the broker from the socket the request came in on. */
  readonly caller: ServiceName;
  /** Aborted when the caller gave up or its deadline passed. */
  readonly signal: AbortSignal;
}

export type Handlers<C extends Contract> = {
  readonly [K in keyof C['requests'] & string]: (
    params: ParsedParams<C['requests'][K]>,
    context: CallContext,
  ) => Promise<Answer<C['requests'][K]>> | Answer<C['requests'][K]>;
};

export type EventPayload<E extends EventSpec> = z.output<E['payload']>;

export interface Subscription<E extends EventSpec> {
  readonly onEvent: (payload: EventPayload<E>) => void;
  /** Events were dropped because this subscriber was slow: take a new snapshot. `count` is how many, at least. */
  readonly onLost: (count: number) => void;
}

/** A service's end of its one connection. */
export interface Channel {
  client<C extends Contract>(contract: C): Client<C>;
  serve<C extends Contract>(contract: C, handlers: Handlers<C>): void;
  publish<C extends Contract, K extends keyof C['events'] & string>(
    contract: C,
    name: K,
    payload: z.input<C['events'][K]['payload']>,
  ): void;
  subscribe<C extends Contract, K extends keyof C['events'] & string>(
    contract: C,
    name: K,
    subscription: Subscription<C['events'][K]>,
  ): void;
  /** Tells the broker that requests may come; until then they wait there. */
  ready(): void;
  /** Resolves when the connection is gone: the supervisor died or asked for the end. */
  readonly closed: Promise<void>;
  close(): void;
}

/** A successful answer. */
export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** An expected error: `code` is a key of the request's `errors`, the rest is that error's data. */
export function fail<const E extends { readonly code: string }>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}
