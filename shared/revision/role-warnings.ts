// Containers whose run.json says nothing of roles: nobody here, as Pantavisor documents it, and mgmt there. Pure.
import type { NamedRun, ReadContainer } from './container-plan.ts';
import type { Problem } from './revision.ts';

/**
 * One for the whole revision, and only where it brings board support, as those of Pantavisor's devices do: others were written for
 * Berth. `read`: what became of each of `runs`. Code: MISSING.
 */
export function roleWarnings(
  documents: ReadonlyMap<string, unknown>,
  runs: readonly NamedRun[],
  read: readonly ReadContainer[],
): readonly Problem[] {
  // Who is only mounted asks for nothing.
  const silent = runs.filter(
    ({ run }, index) => run?.roles === undefined && read[index]?.plan?.statusGoal !== 'MOUNTED',
  );
  const [first] = silent;
  if (first === undefined || !documents.has('bsp/run.json')) return [];
  const names = silent.map(({ name }) => name).join(', ');
  const message = `is missing, and counts as nobody, where Pantavisor takes mgmt: write ["mgmt"] to let it control the device, ["nobody"] otherwise. So for: ${names}`;
  return [{ path: `${first.name}/run.json.roles`, code: 'MISSING', message }];
}
