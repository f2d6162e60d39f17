// The folders of containers' control sockets, which the supervisor binds: asked for once for each time that a container is mounted.
import type { Client } from '../../shared/ipc/contract.ts';
import type { supervisorContract } from '../supervisor/contract.ts';
import { StepFailure } from './step-failure.ts';

export interface ContainerSockets {
  /** Its folder. Throws StepFailure, or the fault of a supervisor that does not answer. */
  open(container: string): Promise<string>;
  /** The same, while something else is done; what goes wrong is told by `open`. */
  prepare(container: string): void;
  close(container: string): Promise<void>;
}

/** What was opened stays so as long as we live: the supervisor's end is ours. */
export function createContainerSockets(supervisor: Client<typeof supervisorContract>): ContainerSockets {
  const folders = new Map<string, Promise<string>>();
  const ask = async (container: string): Promise<string> => {
    const answer = await supervisor.openSockets({ container });
    if (answer.ok) return answer.value.folder;
    throw new StepFailure('sockets', answer.error.reason);
  };
  const open = (container: string): Promise<string> => {
    const present = folders.get(container);
    if (present !== undefined) return present;
    const folder = ask(container);
    folders.set(container, folder);
    folder.catch(() => {
      if (folders.get(container) === folder) folders.delete(container);
    });
    return folder;
  };
  return {
    open,
    prepare: (container) => void open(container).catch(() => undefined),
    async close(container) {
      folders.delete(container);
      await supervisor.closeSockets({ container });
    },
  };
}
