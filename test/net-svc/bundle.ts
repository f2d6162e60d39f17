// Bundles a file as the build does and starts it as the supervisor does: with the uid and capabilities of the contract only.
import { chmodSync, cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { netContract } from '../../services/net-svc/contract.ts';
import { resolveUid } from '../../shared/service/users.ts';

export const uid = resolveUid('berth-net');
const ROOT = join(import.meta.dirname, '..', '..');

/** Into a folder on the private /run, with koffi beside it: the repository may be readable by root only. Answers the bundle's path. */
export async function bundle(entry: string, folder: string): Promise<string> {
  for (const name of ['koffi', '@koromix']) {
    const target = join(folder, 'node_modules', name);
    if (!existsSync(target)) {
      cpSync(join(ROOT, 'node_modules', name), target, { recursive: true, dereference: true });
    }
  }
  const outfile = join(folder, 'bundle.cjs');
  await build({
    entryPoints: [join(ROOT, entry)],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['koffi'],
    outfile,
    logLevel: 'error',
  });
  chmodSync(folder, 0o755);
  return outfile;
}

/** `command` as an argument array, started as the contract's row says. */
export function unprivileged(command: readonly string[]): string[] {
  const capabilities = `-all,${netContract.privileges.capabilities.map((name) => `+${name}`).join(',')}`;
  return [
    'setpriv',
    '--reuid',
    String(uid),
    '--regid',
    String(uid),
    '--clear-groups',
    '--no-new-privs',
    '--inh-caps',
    capabilities,
    '--ambient-caps',
    capabilities,
    '--bounding-set',
    capabilities,
    ...command,
  ];
}

/** As every service: no eval, which native code must not need either. */
export const NODE = [process.execPath, '--disallow-code-generation-from-strings'];
