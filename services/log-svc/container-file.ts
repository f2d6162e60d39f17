// Where a container's log goes below its folder. Pure; names of files come from containers' documents and are not trusted with more.
import type { ContainerLog } from './log-flow.ts';
import { parseRotatedName } from './rotated-name.ts';

/** As Pantavisor calls it: `lxc/console.log`, `lxc/lxc.log`, or the path that the file has in the container. */
export function sourceName(source: ContainerLog['source']): string {
  return source === 'console' || source === 'lxc' ? `${OURS}/${source}.log` : source.slice('file:'.length);
}

/** The folder of what is no file of the container. */
const OURS = 'lxc';

/**
 * `lxc/console.log` and `lxc/lxc.log`; a file of the container keeps its path, as in Pantavisor: /var/log/messages is var/log/messages. One at
 * the container's root is below `syslog`, and so is one in a folder `lxc`, so that it is not taken for one of ours.
 */
export function containerFile({ container, source }: ContainerLog): string {
  if (source === 'console' || source === 'lxc') return `${container}/${sourceName(source)}`;
  const parts = sourceName(source)
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..');
  const path = parts.length > 1 && parts[0] !== OURS ? parts.join('/') : `syslog/${parts.join('/') || 'unknown-src'}`;
  // A name that looks like a rotated file's would be compressed under its writer.
  return `${container}/${parseRotatedName(path) === undefined ? path : `${path}_`}`;
}
