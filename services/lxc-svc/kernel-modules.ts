// Kernel modules: loaded and unloaded by modprobe, listed by the kernel; and what the board says about itself.
import { join } from 'node:path';
import { CommandError, type CommandResult, runCommand } from '../../shared/exec/run-command.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { textIfThere } from '../../shared/kernel/text-if-there.ts';
import type { Board, KernelModule } from '../../shared/schema/drivers.ts';

/** For all modules of a request: a driver that waits for its firmware takes seconds. Below the deadline of the requests. */
const PATIENCE_MS = 25_000;
/** Of what modprobe said, for people. */
const MAX_WORDS = 300;

export interface ModuleContext {
  /** The program: an absolute path, or a name. */
  readonly modprobe: string;
  /** Where the kernel tells: /proc, another folder in tests. */
  readonly proc: string;
  /** PV_BOOTLOADER_FITCONFIG: `<device tree>#<overlay>#…`, as the boot loader was told. */
  readonly fitConfig: string;
  /** Milliseconds for all modules of one request. */
  readonly patienceMs?: number;
}

export interface ModuleFailure {
  readonly module: string;
  readonly reason: string;
}

export interface KernelModules {
  /** In this order; the first that fails ends it, and what was loaded stays. Undefined: all are loaded. Never rejects. */
  load(modules: readonly KernelModule[]): Promise<ModuleFailure | undefined>;
  /** In reverse. */
  unload(modules: readonly string[]): Promise<ModuleFailure | undefined>;
  /** With `_` for `-`; what is built into the kernel is not among them. */
  loaded(): string[];
  board(): Board;
}

export function createKernelModules({
  modprobe,
  proc,
  fitConfig,
  patienceMs = PATIENCE_MS,
}: ModuleContext): KernelModules {
  const run = async (module: string, args: readonly string[], endMs: number): Promise<ModuleFailure | undefined> => {
    const timeoutMs = Math.max(1, endMs - performance.now());
    const reason = await runCommand(modprobe, args, { timeoutMs }).then(complaint, failure);
    return reason === undefined ? undefined : { module, reason: reason.slice(0, MAX_WORDS) };
  };
  return {
    async load(modules) {
      const endMs = performance.now() + patienceMs;
      for (const { name, options } of modules) {
        const failed = await run(name, [name, ...options], endMs);
        if (failed !== undefined) return failed;
      }
      return undefined;
    },
    async unload(modules) {
      const endMs = performance.now() + patienceMs;
      for (const name of [...modules].reverse()) {
        const failed = await run(name, ['-r', name], endMs);
        if (failed !== undefined) return failed;
      }
      return undefined;
    },
    // proc(5): the name is the first word of each line; no file in a kernel without modules.
    loaded: () => linesOf(join(proc, 'modules')).flatMap((line) => line.split(' ', 1).filter((name) => name !== '')),
    board() {
      const [tree, ...laid] = fitConfig.split('#');
      const model = textIfThere(join(proc, 'device-tree/model')).replace(/\0.*$/s, '');
      const compatible = textIfThere(join(proc, 'device-tree/compatible')).split('\0');
      return {
        deviceTrees: [model, ...compatible, tree ?? ''].filter((name) => name !== ''),
        overlays: [...laid, ...overlaysOf(textIfThere(join(proc, 'cmdline')))].filter((name) => name !== ''),
      };
    },
  };
}

/** `overlays=a,b` of the kernel's command line, where boot scripts say which they laid over the device tree. */
function overlaysOf(commandLine: string): readonly string[] {
  return commandLine
    .trim()
    .split(/\s+/)
    .flatMap((word) => /^(?:fdt_?)?overlays=(.*)$/.exec(word)?.[1]?.split(',') ?? []);
}

/** Undefined: it did what it was asked. */
function complaint({ exitCode, signal, stderr, stdout }: CommandResult): string | undefined {
  if (exitCode === 0) return undefined;
  const [words = ''] = (stderr.trim() || stdout.trim()).split('\n');
  // Whoever tells it says who said it.
  const said = words.replace(/^modprobe: (?:FATAL: |ERROR: )?/, '');
  return said === '' ? `it ended with ${signal ?? `exit code ${exitCode}`}` : said;
}

function failure(error: unknown): string {
  if (error instanceof CommandError && error.code === 'NOT_FOUND') return `${error.message}: install kmod or busybox`;
  return reasonOf(error);
}

function linesOf(path: string): readonly string[] {
  return textIfThere(path).split('\n');
}
