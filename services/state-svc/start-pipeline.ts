// Starting one container: lxc.mount → its drivers → ipam.allocate → net.attach → lxc.start. Without drivers the network is made beside
// the mount: neither needs the other. A failure undoes what was done, in reverse, and names the step. Leases stay: the address is the
// container's for good.
import { Fault } from '../../shared/ipc/fault.ts';
import type { ContainerPlan, PoolInterface } from '../../shared/revision/revision.ts';
import type { ContainerNetwork, Lease } from '../../shared/schema/network.ts';
import type { Drivers } from './drivers.ts';
import { type Ask, isPassing, type Peers } from './peers.ts';
import type { Run } from './standing.ts';
import { failureOf, type StartFailure, StepFailed } from './start-failure.ts';

export interface HostInterface {
  readonly interface: string;
  readonly hostInterface: string;
}

export interface Plumbing {
  readonly leases: readonly Lease[];
  readonly hostInterfaces: readonly HostInterface[];
  readonly network: ContainerNetwork;
}

export type StartOutcome =
  | { readonly kind: 'mounted' }
  | { readonly kind: 'started'; readonly run: Run }
  /** Somebody wanted a stop before it was done; everything done is left for the stop to take away. */
  | { readonly kind: 'abandoned' }
  | { readonly kind: 'failed'; readonly failure: StartFailure; readonly notUndone: readonly string[] };

export interface StartHooks {
  /** After each step: whether the start is still wanted. */
  wanted(): boolean;
  /** Whatever becomes of it. Again with each try. */
  onMounting(revision: string): void;
  onMounted(): void;
  /** Resolves when its init may run: its order is on disk, no earlier group lacks a goal, or that was waited for long enough. */
  mayStart(): Promise<void>;
  onStarting(): void;
  onPlumbed(plumbing: Plumbing): void;
}

export interface StartContext {
  readonly peers: Peers;
  readonly ask: Ask;
  /** The one that runs now: containers can be handed on to another. */
  revision(): string;
  readonly drivers: Pick<Drivers, 'loadFor'>;
}

type Undo = readonly [step: string, run: () => Promise<{ readonly ok: boolean; readonly error?: object }>];

/** Never rejects. */
export async function startContainer(
  plan: ContainerPlan,
  context: StartContext,
  hooks: StartHooks,
): Promise<StartOutcome> {
  const undos: Undo[] = [];
  const step = stepRunner(context.ask, undos);
  const { lxc } = context.peers;
  const { name: container } = plan;
  const mount = () => {
    const revision = context.revision();
    hooks.onMounting(revision);
    return lxc.mount(mountParams(plan, revision));
  };
  const mounted = step('lxc.mount', mount, ['lxc.unmount', () => lxc.unmount({ container })]);
  const network = needsNoDriver(plan) ? plumb(plan, context.peers, step) : undefined;
  // Whatever becomes of the mount: nobody else may touch the container while this goes on.
  const networkSettled = network?.then(noMatter, noMatter);
  try {
    const outcome = await startSteps(plan, context, hooks, { step, mounted, network });
    await networkSettled;
    return outcome;
  } catch (error) {
    await networkSettled;
    return { kind: 'failed', failure: failureOf(error), notUndone: await undoAll(undos, context.ask) };
  }
}

function noMatter(): void {}

/** Drivers may bring the links that a network is made of; what is mounted only has none. */
function needsNoDriver({ drivers, statusGoal }: ContainerPlan): boolean {
  return statusGoal !== 'MOUNTED' && drivers.required.length === 0 && drivers.optional.length === 0;
}

interface StartWork {
  readonly step: Step;
  /** Both under way already. */
  readonly mounted: Promise<unknown>;
  readonly network: Promise<Plumbing> | undefined;
}

/** Throws StepFailed. */
async function startSteps(
  plan: ContainerPlan,
  context: StartContext,
  hooks: StartHooks,
  { step, mounted, network }: StartWork,
): Promise<StartOutcome> {
  const { lxc } = context.peers;
  const { name: container } = plan;
  await mounted;
  hooks.onMounted();
  if (plan.statusGoal === 'MOUNTED') return { kind: 'mounted' };
  await hooks.mayStart();
  if (!hooks.wanted()) return { kind: 'abandoned' };
  hooks.onStarting();
  // They stay loaded when it stops, or fails to start: nobody knows who else uses them.
  const driverless = await context.drivers.loadFor(plan);
  if (driverless !== undefined) throw new StepFailed(driverless);
  if (!hooks.wanted()) return { kind: 'abandoned' };
  const plumbing = await (network ?? plumb(plan, context.peers, step));
  hooks.onPlumbed(plumbing);
  if (!hooks.wanted()) return { kind: 'abandoned' };
  const started = await step(
    'lxc.start',
    () =>
      lxc.start({
        container,
        hostname: plan.hostname,
        network: plumbing.network,
        roles: [...plan.roles],
        devLog: plan.devLog,
        ...(plan.automodfw ? {} : { automodfw: false }),
        ...(plan.remounts.length === 0 ? {} : { remounts: [...plan.remounts] }),
      }),
    ['lxc.stop', () => lxc.stop({ container, graceMs: 0 })],
  );
  return { kind: 'started', run: started };
}

type Step = <T>(name: string, call: () => Promise<Outcome<T>>, undo?: Undo) => Promise<T>;
type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: { readonly code: string } };

function stepRunner(ask: Ask, undos: Undo[]): Step {
  return async (name, call, undo) => {
    const answer = await ask(call).catch((fault: unknown) => {
      // The service died or was late: it may have done its part, so that is undone as well.
      if (undo !== undefined) undos.push(undo);
      throw new StepFailed({ step: name, reason: String(fault), passing: fault instanceof Fault && isPassing(fault) });
    });
    // A declared error is the receiver's word that nothing of its part is left.
    if (!answer.ok) {
      const { error } = answer;
      throw new StepFailed({ step: name, reason: describe(error), code: error.code, passing: false });
    }
    if (undo !== undefined) undos.push(undo);
    return answer.value;
  };
}

async function plumb(plan: ContainerPlan, peers: Peers, step: Step, pid?: number): Promise<Plumbing> {
  const { name: container, network } = plan;
  if (network.mode !== 'pool') return { leases: [], hostInterfaces: [], network: { kind: network.mode } };
  const interfaces = network.interfaces.map(allocationOf);
  const allocated = await step('ipam.allocate', () => peers.ipam.allocate({ container, interfaces }));
  const leases = allocated.leases.map(({ reused: _reused, ...lease }) => lease);
  const attached = await step('net.attach', () => peers.net.attach({ container, interfaces: leases, pid }), [
    'net.detach',
    () => peers.net.detach({ container }),
  ]);
  return { leases, hostInterfaces: attached.interfaces, network: { kind: 'netns', path: attached.netns } };
}

/**
 * Leases and interfaces of a container that runs already, as `pid`: both requests leave alone what is right. Never rejects; a failure
 * is the container's network being unknown, not its end.
 */
export async function replumb(
  plan: ContainerPlan,
  context: StartContext,
  pid: number,
): Promise<Plumbing | StartFailure> {
  try {
    return await plumb(plan, context.peers, stepRunner(context.ask, []), pid);
  } catch (error) {
    return failureOf(error);
  }
}

function allocationOf({ interface: name, pool, address, mac }: PoolInterface) {
  return { interface: name, pool, address, mac };
}

function mountParams(plan: ContainerPlan, revision: string) {
  return {
    container: plan.name,
    revision,
    rootVolume: plan.rootVolume,
    config: plan.config,
    squashfs: [...plan.storage.squashfs],
    bases: plan.bases.map(({ container, file }) => ({ container, file })),
    volumes: [...plan.storage.volumes],
    disks: [...plan.storage.disks],
    exports: [...plan.storage.exports],
    logFiles: [...plan.logFiles],
    ...(plan.deviceRules === undefined ? {} : { deviceRules: [...plan.deviceRules] }),
  };
}

/** In reverse, past errors; answers what could not be undone. */
async function undoAll(undos: readonly Undo[], ask: Ask): Promise<readonly string[]> {
  const notUndone: string[] = [];
  for (const [step, run] of [...undos].reverse()) {
    const reason = await attempt(run, ask);
    if (reason !== undefined) notUndone.push(`${step}: ${reason}`);
  }
  return notUndone;
}

export interface StopContext {
  readonly peers: Peers;
  readonly ask: Ask;
  /** Mounts that were busy: they end with their last user. */
  onDetached?(targets: readonly string[]): void;
}

/**
 * lxc.stop, then net.detach and lxc.unmount side by side, past errors; answers what did not work. lxc-svc has the request to unmount
 * while the stop goes on, and begins at its end. Never rejects.
 */
export async function tearDown(
  container: string,
  graceMs: number,
  hasNetwork: boolean,
  { peers, ask, onDetached }: StopContext,
): Promise<readonly string[]> {
  let isEarly = false;
  const unmount = async () => {
    const answer = await peers.lxc.unmount({ container });
    isEarly = !answer.ok && answer.error.code === 'RUNNING';
    if (answer.ok && answer.value.detached !== undefined) onDetached?.(answer.value.detached);
    return answer;
  };
  const stopping = undoAll([['lxc.stop', () => peers.lxc.stop({ container, graceMs })]], ask);
  const unmounting = undoAll([['lxc.unmount', unmount]], ask);
  const stopped = await stopping;
  const rest: Undo[] = hasNetwork ? [['net.detach', () => peers.net.detach({ container })]] : [];
  const detached = undoAll(rest, ask);
  const unmounted = await unmounting;
  // A restart of lxc-svc in the middle may have made it hear of the unmount first.
  const again = isEarly ? await undoAll([['lxc.unmount', unmount]], ask) : unmounted;
  return [...stopped, ...(await detached), ...again];
}

async function attempt(run: Undo[1], ask: Ask): Promise<string | undefined> {
  try {
    const answer = await ask(run);
    return answer.ok ? undefined : describe(answer.error ?? {});
  } catch (error) {
    return String(error);
  }
}

/** A declared error in one line: `UNKNOWN_POOL pool=does-not-exist`. */
export function describe(error: object): string {
  const { code, ...rest }: { code?: unknown } = { ...error };
  const fields = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : value}`,
  );
  return [String(code ?? 'refused'), ...fields].join(' ');
}
