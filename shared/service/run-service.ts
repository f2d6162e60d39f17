// The life of every service process: read the launch document, connect to the broker, wire, report ready, beat, end.
import process from 'node:process';
import { connectInherited } from '../ipc/connect.ts';
import type { Channel, Contract } from '../ipc/contract.ts';
import { createLogger, type Logger } from '../log/logger.ts';
import { BROKER_FD, LAUNCH_VARIABLE, type Launch, launch } from './launch.ts';
import { giveBackAtRest } from './rest.ts';

export interface ServiceContext {
  readonly channel: Channel;
  readonly launch: Launch;
  readonly log: Logger;
}

/** What is left to do when the supervisor asks for the end; bounded by the supervisor's patience, then SIGKILL. */
export type Stop = () => Promise<void> | void;

/**
 * `src` is the service's name in logs. `wire` connects channel and handlers and returns once requests can be answered;
 * ready is reported after it. `trim` is called at rest: native code can give back more than V8. A rejected `wire`, or any error nobody caught, is logged as fatal and ends the process with 1.
 */
export async function runService(
  contract: Contract,
  src: string,
  wire: (context: ServiceContext) => Promise<Stop | undefined> | Stop | undefined,
  trim: () => void = () => undefined,
): Promise<void> {
  const log = createLogger(src);
  const die = (error: unknown): never => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.fatal(text);
    log.flush();
    // The supervisor keeps the tail of stderr as the last words of /services.
    process.stderr.write(`${text}\n`);
    process.exit(1);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  // The end comes as end of file on the broker's socket; a signal to the group must not race it.
  process.on('SIGTERM', () => undefined);
  process.on('SIGINT', () => undefined);
  // Node's debugger, which it starts otherwise, is open to every user, and to containers on the host's network.
  process.on('SIGUSR1', () => undefined);
  try {
    const settings = launch.parse(JSON.parse(process.env[LAUNCH_VARIABLE] ?? 'null'));
    const channel = connectInherited(BROKER_FD, contract, log);
    const stop = await wire({ channel, launch: settings, log });
    channel.ready();
    giveBackAtRest(trim);
    await channel.closed;
    await stop?.();
    log.flush();
    process.exit(0);
  } catch (error) {
    die(error);
  }
}
