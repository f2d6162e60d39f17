// The drivers that a container names, held against those that bsp/drivers.json has for any board.
import type { DriverNeeds, Problem } from './revision.ts';
import type { RunDocument } from './run-document.ts';

/** In a message. */
const MAX_NAMED = 32;

export interface PlannedDrivers {
  readonly plan: DriverNeeds;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Code: UNKNOWN_DRIVER, a problem of required drivers and a warning of others. */
export function planDrivers(
  container: string,
  { required = [], optional = [], manual = [] }: NonNullable<RunDocument['drivers']> = {},
  known: ReadonlySet<string>,
): PlannedDrivers {
  const unknown = (kind: string, drivers: readonly string[], consequence: string): readonly Problem[] =>
    drivers.flatMap((driver, index) =>
      known.has(driver)
        ? []
        : [
            {
              path: `${container}/run.json.drivers.${kind}.${index}`,
              code: 'UNKNOWN_DRIVER',
              message: `driver '${driver}' of '${container}' is not in bsp/drivers.json, ${consequence}; there are: ${namesOf(known)}`,
            },
          ],
    );
  return {
    plan: { required, optional, manual },
    problems: unknown('required', required, 'and it cannot start without it'),
    warnings: [
      ...unknown('optional', optional, 'so it starts without it'),
      ...unknown('manual', manual, 'so it cannot be loaded'),
    ],
  };
}

/** The first ones; the longest names of so many are more than a message may have. */
function namesOf(known: ReadonlySet<string>): string {
  const names: string[] = [];
  for (const name of known) if (names.push(name) === MAX_NAMED) break;
  return names.join(', ') || 'none';
}
