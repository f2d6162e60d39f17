// What opening a disk reaches for outside this process: programs, and the kernel's folders. Named in one place so that a test can stand in.
import { CommandError, runCommand } from '../../shared/exec/run-command.ts';

export interface DiskTools {
  /** Answers what it printed; throws with what it complained of when it ends with anything but 0, or one of `alsoFine`. */
  run(program: string, args: readonly string[], options?: ToolOptions): Promise<ToolResult>;
  /** Where device-mapper's devices appear. */
  readonly mapper: string;
  /** Of zram: its attributes and its control. */
  readonly sysfs: string;
  /** Where zram's devices are. */
  readonly dev: string;
  readonly swaps: string;
  /** Where NXP's key tool has its files. */
  readonly caam: string;
}

export interface ToolOptions {
  readonly input?: Uint8Array;
  readonly alsoFine?: number;
  /** It ends when this process does, however that happens: the next one may want the same disk before it is done. */
  readonly endsWithUs?: boolean;
}

export interface ToolResult {
  readonly exitCode: number;
  readonly stdout: string;
}

/** A file system of a few GiB on a slow card. */
const TIMEOUT_MS = 100_000;

/** Of setpriv(1), as of a shell: there is no such program. */
const NOT_INSTALLED = 127;

async function run(program: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolResult> {
  const { input, alsoFine, endsWithUs = false } = options;
  const [file, all] = endsWithUs ? ['setpriv', ['--pdeathsig', 'KILL', '--', program, ...args]] : [program, args];
  const result = await runCommand(file, all, {
    timeoutMs: TIMEOUT_MS,
    ...(input === undefined ? {} : { input }),
  }).catch((error: unknown) => {
    if (error instanceof CommandError && error.code === 'NOT_FOUND') throw new Error(`${file} is not installed`);
    throw error;
  });
  const { exitCode, signal, stdout, stderr } = result;
  if (endsWithUs && exitCode === NOT_INSTALLED) throw new Error(`${program} is not installed`);
  if (exitCode !== null && (exitCode === 0 || exitCode === alsoFine)) return { exitCode, stdout };
  const words = stderr.trim().split('\n')[0] ?? '';
  throw new Error(`${program} ended with ${signal ?? exitCode}${words === '' ? '' : `: ${words}`}`);
}

/** `cryptsetup`: its path, or its name where programs are. */
export function systemTools(cryptsetup: string): DiskTools {
  return {
    run: (program, args, options) => run(program === 'cryptsetup' ? cryptsetup : program, args, options),
    mapper: '/dev/mapper',
    sysfs: '/sys',
    dev: '/dev',
    swaps: '/proc/swaps',
    caam: '/data/caam',
  };
}
