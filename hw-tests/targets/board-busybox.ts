// The program that containers of the tests consist of, from a board: this machine's is of this machine's processor.
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HEAD_BYTES, interpreterOf } from '../../shared/lxc-config/elf-interpreter.ts';

const FETCH_MS = 120_000;
const MAX_BYTES = 64 * 1024 * 1024;
/** Those that a rootfs.list of the examples names. */
const FETCH = `
for path in /usr/bin/busybox /bin/busybox; do [ ! -e "$path" ] || exec cat "$path"; done
echo 'there is no busybox' >&2
exit 1
`;

/** Answers its path in `folder`. Throws what is wrong with the board's, or why it cannot be had. `host` as ssh(1) takes it. */
export function fetchBusybox(host: string, folder: string, program = 'ssh'): string {
  const { status, stdout, stderr, error } = spawnSync(
    program,
    ['-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR', '--', host, FETCH],
    { maxBuffer: MAX_BYTES, timeout: FETCH_MS },
  );
  if (status !== 0)
    throw new Error(`${host}: containers of the tests need its busybox: ${error?.message ?? stderr.toString().trim()}`);
  if (interpreterOf(stdout.subarray(0, HEAD_BYTES)) !== undefined)
    throw new Error(`${host}: its busybox needs libraries, which containers lack; install busybox-static there`);
  const path = join(folder, 'busybox');
  writeFileSync(path, stdout);
  chmodSync(path, 0o755);
  return path;
}
