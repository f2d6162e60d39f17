// The records that outlive the service: what is mounted, the run under way, the end of the last run. See places.ts for where.
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import * as z from 'zod/mini';
import { errorCode } from '../../shared/kernel/system-error.ts';
import { deviceRules } from '../../shared/schema/device-rules.ts';
import { exitStatus } from '../../shared/schema/exit.ts';
import { containerLogFile } from '../../shared/schema/logs.ts';
import { containerName, epochMs, pid, revisionName } from '../../shared/schema/names.ts';
import { artifactName, baseVolume, disk, insidePath, namedVolume } from '../../shared/schema/storage.ts';
import { tailPlace } from './tail-place.ts';

/** The lists are missing in records of builds before them, whose containers may run still. */
const mountRecord = z.object({
  revision: revisionName,
  rootVolume: z.string(),
  config: z.optional(z.string()),
  squashfs: z._default(z.array(artifactName), []),
  bases: z._default(z.array(baseVolume), []),
  volumes: z._default(z.array(namedVolume), []),
  disks: z._default(z.array(disk), []),
  exports: z._default(z.array(insidePath), []),
  logFiles: z._default(z.array(containerLogFile), []),
  deviceRules: z.optional(deviceRules),
});
/** No `pid` yet: lxc-start was called and its word is not in. */
const runRecord = z.strictObject({
  pid: z.optional(pid),
  /** As /proc/<pid>/stat has it: tells this process from a later one with its number. */
  startTicks: z.optional(z.int()),
  monitorPid: z.optional(pid),
  startedMs: epochMs,
});
const exitRecord = z.strictObject({ pid, status: exitStatus, atMs: epochMs });

/** A run, and how many services ended while they looked at its files. */
const lookRecord = z.strictObject({ pid, startTicks: z.optional(z.int()), deaths: z.int() });
const presentLook = z.strictObject({ container: containerName, pid, startTicks: z.optional(z.int()) });

/** By the path inside the container. */
const tailRecord = z.record(z.string(), tailPlace);

/** `passed`: `<event> <revision>`, of those that are told once a life. `running`: the hook that leads a group of processes. */
const hookRecord = z.strictObject({
  life: z.string(),
  passed: z.array(z.string()),
  running: z.optional(z.strictObject({ hook: z.string(), pid, startTicks: z.int() })),
});

/** What was made in a container's /dev, by device (`char/4:64`). `to`: of a link. */
const nodesRecord = z.record(z.string(), z.array(z.strictObject({ path: z.string(), to: z.optional(z.string()) })));

/** Part of a file's name. */
const treeRecord = z.strictObject({ id: z.string().check(z.regex(/^[0-9a-f-]{36}$/)) });

export type NodesRecord = z.output<typeof nodesRecord>;
export type TreeRecord = z.output<typeof treeRecord>;
export type HookRecord = z.output<typeof hookRecord>;
export type LookRecord = z.output<typeof lookRecord>;
export type TailRecord = z.output<typeof tailRecord>;
export type MountRecord = z.output<typeof mountRecord>;
export type RunRecord = z.output<typeof runRecord>;
export type ExitRecord = z.output<typeof exitRecord>;

/** Whole or not at all, also over a power cut where the folder is on a disk. */
function writeRecord(path: string, record: object): void {
  const beside = `${path}.new`;
  const fd = openSync(beside, 'w', 0o644);
  try {
    // All of it, or an error: a single write(2) to a full disk takes a part and says that all is well.
    writeFileSync(fd, `${JSON.stringify(record)}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(beside, path);
}

/** Undefined: no such file, or not what this build writes; what it told is then found out anew. */
function readRecord<T extends z.ZodMiniType>(path: string, schema: T): z.output<T> | undefined {
  // As most are not there when a container is mounted; the look is cheaper than the error.
  if (!existsSync(path)) return undefined;
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}

export const readMountRecord = (path: string): MountRecord | undefined => readRecord(path, mountRecord);
export const readRunRecord = (path: string): RunRecord | undefined => readRecord(path, runRecord);
export const readExitRecord = (path: string): ExitRecord | undefined => readRecord(path, exitRecord);
export const readTailRecord = (path: string): TailRecord => readRecord(path, tailRecord) ?? {};
export const readHookRecord = (path: string): HookRecord | undefined => readRecord(path, hookRecord);
export const readLookRecord = (path: string): LookRecord | undefined => readRecord(path, lookRecord);
/** Of a file that is written in place. */
export const readPresentLook = (path: string): z.output<typeof presentLook> | undefined =>
  readRecord(path, presentLook);
export const readTreeRecord = (path: string): TreeRecord | undefined => readRecord(path, treeRecord);
export const readNodesRecord = (path: string): NodesRecord => readRecord(path, nodesRecord) ?? {};
export const writeNodesRecord = (path: string, record: NodesRecord): void => writeRecord(path, record);
export const writeLookRecord = (path: string, record: LookRecord): void => writeRecord(path, record);
export const writeTreeRecord = (path: string, record: TreeRecord): void => writeRecord(path, record);
export const writeHookRecord = (path: string, record: HookRecord): void => writeRecord(path, record);
export const writeTailRecord = (path: string, record: TailRecord): void => writeRecord(path, record);
export const writeMountRecord = (path: string, record: MountRecord): void => writeRecord(path, record);
export const writeRunRecord = (path: string, record: RunRecord): void => writeRecord(path, record);
export const writeExitRecord = (path: string, record: ExitRecord): void => writeRecord(path, record);

export function removeRecord(path: string): void {
  // Here too.
  if (!existsSync(path)) return;
  try {
    unlinkSync(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

/** Containers that have a folder. */
export function knownContainers(lxcPath: string): string[] {
  return readdirSync(lxcPath, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && containerName.safeParse(entry.name).success)
    .map(({ name }) => name)
    .sort();
}
