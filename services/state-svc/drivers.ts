// Drivers of the revision: loaded for containers that start, listed and changed for whoever asks. What is loaded, the kernel knows.
import type { Refusal } from '../../shared/ipc/contract.ts';
import { Fault } from '../../shared/ipc/fault.ts';
import type { Logger } from '../../shared/log/logger.ts';
import { boardDrivers, driverLines, isLoaded, moduleOf, type ReadMeta } from '../../shared/revision/driver-modules.ts';
import type { ContainerPlan, DriverNeeds, DriverSection } from '../../shared/revision/revision.ts';
import { type Board, type DriverRow, kernelModule } from '../../shared/schema/drivers.ts';
import type { stateContract } from './contract.ts';
import { type Ask, isPassing, type Peers } from './peers.ts';
import type { StartFailure } from './start-failure.ts';

export interface DriverContext {
  readonly sections: readonly DriverSection[];
  readonly plans: readonly ContainerPlan[];
  readonly peers: Pick<Peers, 'lxc'>;
  readonly ask: Ask;
  readonly meta: ReadMeta;
  /** Why nothing is to be loaded yet, or ever: the revision is not verified. */
  readonly notYet: () => string | undefined;
  readonly log: Logger;
}

type DriverRefusal = Refusal<typeof stateContract, 'setDrivers'>;

export interface Drivers {
  /** What a container that starts needs: undefined when it has it. Never rejects. */
  loadFor(plan: ContainerPlan): Promise<StartFailure | undefined>;
  /** Those that a container names, or all of the revision. Rejects with a Fault when lxc-svc does not answer. */
  list(container: string | undefined): Promise<readonly DriverRow[]>;
  /**
   * A container's own manual drivers, or one of them; for the host those of all containers, or any one of the board. Nothing to do is
   * done. Rejects with a Fault when lxc-svc does not answer.
   */
  set(
    action: 'load' | 'unload',
    container: string | undefined,
    driver: string | undefined,
  ): Promise<DriverRefusal | undefined>;
}

export function createDrivers({ sections, plans, peers, ask, meta, notYet, log }: DriverContext): Drivers {
  const look = async (): Promise<{ board: Board; loaded: ReadonlySet<string> }> => {
    const answer = await peers.lxc.listModules({});
    // It declares no error.
    if (!answer.ok) throw new Error('unreachable: listModules was refused');
    return { board: answer.value.board, loaded: new Set(answer.value.modules) };
  };

  const load = async (driver: string, board: Board): Promise<DriverRefusal | undefined> => {
    const lines = driverLines(sections, board, driver);
    if (lines === undefined) return { code: 'DRIVER_NOT_FOUND' };
    const modules = lines.map((line) => moduleOf(line, meta));
    for (const module of modules) {
      const [wrong] = kernelModule.safeParse(module).error?.issues ?? [];
      const reason = `its options, with metadata in them, are not ${wrong?.message}: ${module.options.join(' ')}`;
      if (wrong !== undefined) return { code: 'MODPROBE_FAILED', driver, module: module.name, reason };
    }
    const answer = await ask(() => peers.lxc.loadModules({ modules }));
    if (!answer.ok) return { driver, ...answer.error };
    log.info(`driver ${driver}: ${modules.map(({ name }) => name).join(', ') || 'no modules'} loaded`);
    return undefined;
  };

  const unload = async (
    driver: string,
    board: Board,
    loaded: ReadonlySet<string>,
  ): Promise<DriverRefusal | undefined> => {
    const modules = (driverLines(sections, board, driver) ?? [])
      .map((line) => moduleOf(line, () => undefined).name)
      .filter((name) => isLoaded(name, loaded));
    if (modules.length === 0) return undefined;
    const answer = await ask(() => peers.lxc.unloadModules({ modules }));
    if (!answer.ok) return { driver, ...answer.error };
    log.info(`driver ${driver}: ${modules.join(', ')} unloaded`);
    return undefined;
  };

  const planOf = (container: string): ContainerPlan | undefined => plans.find(({ name }) => name === container);

  return {
    async loadFor({ name, drivers: { required, optional } }) {
      if (required.length + optional.length === 0) return undefined;
      try {
        const { board } = await ask(look);
        for (const driver of required) {
          const refusal = await load(driver, board);
          if (refusal !== undefined) return failed(`required driver ${told(driver, refusal)}`, false);
        }
        for (const driver of optional) {
          const refusal = await load(driver, board);
          if (refusal !== undefined) log.warn(`container ${name}: starts without driver ${told(driver, refusal)}`);
        }
        return undefined;
      } catch (error) {
        return failed(String(error), error instanceof Fault && isPassing(error));
      }
    },
    async list(container) {
      const { board, loaded } = await look();
      const needs = container === undefined ? plans.map(({ drivers }) => drivers) : [planOf(container)?.drivers];
      const rows = rowsOf(needs.filter((each) => each !== undefined));
      const others = container === undefined ? boardDrivers(sections, board) : [];
      for (const driver of others) if (!rows.has(driver)) rows.set(driver, 'MANUAL');
      return [...rows].map(([driver, type]): DriverRow => {
        const lines = driverLines(sections, board, driver);
        const isIn = lines?.every((line) => isLoaded(moduleOf(line, () => undefined).name, loaded));
        return { name: driver, type, status: isIn === undefined ? 'UNKNOWN' : isIn ? 'LOADED' : 'UNLOADED' };
      });
    },
    async set(action, container, driver) {
      const reason = notYet();
      if (reason !== undefined) return { code: 'NOT_NOW', reason };
      const { board, loaded } = await look();
      const manual =
        container === undefined
          ? plans.flatMap(({ drivers }) => drivers.manual)
          : (planOf(container)?.drivers.manual ?? []);
      // Whoever administers the machine may name any driver; a container those that it was given.
      const isAny = container === undefined && driver !== undefined;
      const wanted = isAny ? [driver] : [...new Set(manual)].filter((each) => driver === undefined || each === driver);
      if (isAny && driverLines(sections, board, driver) === undefined) return { code: 'DRIVER_NOT_FOUND' };
      for (const each of wanted) {
        const refusal = action === 'load' ? await load(each, board) : await unload(each, board, loaded);
        // The container is made for more boards than this one: there is nothing to do.
        if (refusal?.code === 'DRIVER_NOT_FOUND') log.warn(`${action} of driver ${told(each, refusal)}`);
        else if (refusal !== undefined) return refusal;
      }
      return undefined;
    },
  };
}

/** The strongest need of each, in that order. */
function rowsOf(needs: readonly DriverNeeds[]): Map<string, DriverRow['type']> {
  const rows = new Map<string, DriverRow['type']>();
  for (const [type, key] of [
    ['REQUIRED', 'required'],
    ['OPTIONAL', 'optional'],
    ['MANUAL', 'manual'],
  ] as const) {
    for (const each of needs) for (const name of each[key]) if (!rows.has(name)) rows.set(name, type);
  }
  return rows;
}

function failed(reason: string, passing: boolean): StartFailure {
  return { step: 'lxc.loadModules', reason, passing };
}

function told(driver: string, refusal: DriverRefusal): string {
  switch (refusal.code) {
    case 'DRIVER_NOT_FOUND':
      return `'${driver}': bsp/drivers.json has none of that name for this board`;
    case 'NOT_NOW':
      return `'${driver}': ${refusal.reason}`;
    case 'MODPROBE_FAILED':
      return `'${driver}': modprobe ${refusal.module}: ${refusal.reason}`;
  }
}
