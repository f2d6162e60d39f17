// Ends of containers in words, for logs and health.
import type { ExitStatus } from '../../shared/schema/exit.ts';

export function exitText(exit: ExitStatus): string {
  switch (exit.kind) {
    case 'code':
      return `exited with code ${exit.code}`;
    case 'signal':
      return `was killed by signal ${exit.signal}`;
    case 'unknown':
      return 'ended, how is not known';
  }
}

export function exhaustedText(what: string, retries: number): string {
  return `${what} after ${retries} retries, no more are allowed; start it by hand when its cause is gone`;
}

export function downText(what: string): string {
  return `${what}; with restart policy system nobody may start it, and only a reboot does`;
}
