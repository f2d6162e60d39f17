// The outputs as the configuration has them now: when it changes, others take their place between two lines.
import type { HealthReason } from '../../shared/schema/health.ts';
import { type LogSettings, type OutputPlaces, type Outputs, openOutputs } from './outputs.ts';

export interface LiveOutputs extends Outputs {
  /** From the next message on. */
  change(settings: LogSettings): void;
}

export function openLiveOutputs(first: LogSettings, places: OutputPlaces): LiveOutputs {
  let settings = first;
  let outputs = openOutputs(first, places);
  let revision: string | undefined;
  return {
    messages: (batch) => outputs.messages(batch),
    bytes: (log, bytes) => outputs.bytes(log, bytes),
    openRevision(next) {
      revision = next;
      return outputs.openRevision(next);
    },
    refresh: () => outputs.refresh(),
    troubles: (): readonly HealthReason[] => [...outputs.troubles(), ...withoutStdout(settings, places)],
    pending: () => outputs.pending(),
    written: () => outputs.written(),
    change(next) {
      settings = next;
      // The beginning of a line that waits for its end is written as it is: the next outputs may cut otherwise.
      const written = outputs.written();
      outputs.close();
      outputs = openOutputs(next, { ...places, pending: {}, written });
      if (revision !== undefined) outputs.openRevision(revision);
    },
    close: () => outputs.close(),
  };
}

/** Which descriptors there are was decided when Berth was started. */
function withoutStdout({ outputs }: LogSettings, { stdoutFd }: OutputPlaces): readonly HealthReason[] {
  if (stdoutFd !== undefined || !outputs.some((name) => name.startsWith('stdout'))) return [];
  const message = 'logs are to go to stdout, which log-svc has only when Berth was started with such an output';
  return [
    { code: 'LOG_UNWRITABLE', subject: 'stdout', message: `${message}: write it to pantavisor.config and restart` },
  ];
}
