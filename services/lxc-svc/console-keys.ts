// Lines about a container's terminals, its console and its logs. Pure.
import { adding } from './config-draft.ts';

/** What LXC's own templates ask for. */
const PTY_MAX = 1024;

/** LXC gives init a console, and so its log, only where there is a devpts. */
export const terminals = adding((_settings, { entries }) => {
  const asked = Number(entries.findLast(({ key }) => key === 'lxc.pty.max')?.value ?? 0);
  return asked > 0 ? [] : [{ key: 'lxc.pty.max', value: String(PTY_MAX) }];
});

/**
 * No `lxc.console.size`: at each rotation LXC 5.0.2 writes the head of what it has just read twice, and loses as much of its tail
 * (lxc_terminal_write_log_file() in terminal.c). What was read is given back by the log service instead.
 */
export const logging = adding((settings) => [
  { key: 'lxc.console.logfile', value: settings.consoleLog },
  // DEBUG has the line from which the end of a container's init is learnt (see exit-log.ts); the log service keeps what is asked for.
  { key: 'lxc.log.level', value: settings.tracesLxc ? 'TRACE' : 'DEBUG' },
  { key: 'lxc.log.file', value: settings.lxcLog },
]);
