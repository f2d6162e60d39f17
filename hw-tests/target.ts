// What a hardware test knows of the machine that it runs on, whichever machine that is.
import type { ChildProcess } from 'node:child_process';

/**
 * What a target may lack; a test names what it needs. `reboot`: by itself, `cut`: the power goes away at once, `init`: whoever starts
 * the supervisor starts it again when it dies, `pure-cgroup2`: nothing of version 1, `openrc`, `sysvinit`: who starts the supervisor.
 */
export const FEATURES = [
  ...(['reboot', 'cut', 'init', 'device-mapper', 'modules', 'watchdog', 'pure-cgroup2'] as const),
  ...(['openrc', 'sysvinit'] as const),
] as const;
export type Feature = (typeof FEATURES)[number];

/** No boot has it for an id: whichever runs is another one. */
export const ANY_BOOT = '';

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Target {
  readonly name: string;
  /** It takes ten times as long as a machine that is not. */
  readonly isEmulated: boolean;
  /** Its storage is the one that it was given, lease journal and all; a board gets the revision alone, beside what it has. */
  readonly isNew: boolean;
  /** The one that runs once it is powered on. */
  readonly revision: string;
  /** Why this target cannot do it; undefined: it can. */
  lacks(feature: Feature): string | undefined;
  /** The host's control socket, as a path of this machine; another one after each boot, maybe. */
  readonly socket: string;
  /** Paths on the target. */
  readonly storage: string;
  readonly rundir: string;
  /** Runs a command to its end; rejects when the target cannot be reached or the command takes a minute. */
  run(command: readonly string[]): Promise<Outcome>;
  /** Starts a command whose output is read while it runs. */
  start(command: readonly string[]): ChildProcess;
  /** Files and folders, with their modes. `to` is the folder that will hold it. */
  copyTo(from: string, to: string): Promise<void>;
  copyFrom(from: string, to: string): Promise<void>;
  /** Resolves when commands can be run. */
  powerOn(): Promise<void>;
  /** The orderly way; resolves when it is off. */
  powerOff(): Promise<void>;
  /** What was not written is lost. */
  cut(): Promise<void>;
  /**
   * Resolves when commands can be run again, and its socket is there, after a reboot that somebody else brought about. `bootId`: of the boot
   * before; `ANY_BOOT`: it may have rebooted or not.
   */
  rebooted(bootId: string): Promise<void>;
  /** What was wrong with its file system when it was powered on, where somebody looked. */
  damage(): Promise<string | undefined>;
  /** Resolves when it has worked for so long: without the time that an emulated machine waited for a processor. */
  worked(ms: number): Promise<void>;
  /** What its console said since the test began. */
  console(): string;
  /** Stops it, and leaves nothing behind. */
  close(): Promise<void>;
}

/** The output of a command that must succeed. */
export async function output(target: Target, command: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await target.run(command);
  if (status !== 0) throw new Error(`${command.join(' ')} on ${target.name} ended with ${status}: ${stderr || stdout}`);
  return stdout;
}

/** Of this boot and no other (random(4)). */
export async function bootId(target: Target): Promise<string> {
  return (await output(target, ['cat', '/proc/sys/kernel/random/boot_id'])).trim();
}
