// Where a container's log goes below its folder. Pure; names of files come from containers' documents and are not trusted with more.
import type { ContainerLog } from './log-flow.ts';
import { parseRotatedName } from './rotated-name.ts';

/**
 * `console.log` and `lxc.log`; a file of the container keeps its path, as in Pantavisor: /var/log/messages is var/log/messages. One at
 * the container's root is below `syslog`, so that it is not taken for one of ours.
 */
export function containerFile({ container, source }: ContainerLog): string {
  if (source === 'console' || source === 'lxc') return `${container}/${source}.log`;
  const parts = source
    .slice('file:'.length)
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..');
  const path = parts.length > 1 ? parts.join('/') : `syslog/${parts[0] ?? 'unknown-src'}`;
  // A name that looks like a rotated file's would be compressed under its writer.
  return `${container}/${parseRotatedName(path) === undefined ? path : `${path}_`}`;
}
