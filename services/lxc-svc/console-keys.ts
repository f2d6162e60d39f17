// Lines about a container's terminals, its console and its logs. Pure.
import { adding } from './config-draft.ts';

/**
 * Bytes of the console's log before LXC rotates it, once: what a container writes waits for the log service in a tmpfs. A page at
 * least (lxc.container.conf(5)).
 */
const CONSOLE_LOG_BYTES = 256 * 1024;

/** What LXC's own templates ask for. */
const PTY_MAX = 1024;

/** LXC gives init a console, and so its log, only where there is a devpts. */
export const terminals = adding((_settings, { entries }) => {
  const asked = Number(entries.findLast(({ key }) => key === 'lxc.pty.max')?.value ?? 0);
  return asked > 0 ? [] : [{ key: 'lxc.pty.max', value: String(PTY_MAX) }];
});

export const logging = adding((settings) => [
  { key: 'lxc.console.logfile', value: settings.consoleLog },
  { key: 'lxc.console.size', value: String(CONSOLE_LOG_BYTES) },
  { key: 'lxc.console.rotate', value: '1' },
  // DEBUG has the line from which the end of a container's init is learnt (see exit-log.ts).
  { key: 'lxc.log.level', value: 'DEBUG' },
  { key: 'lxc.log.file', value: settings.lxcLog },
]);
