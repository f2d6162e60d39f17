// Output: files by revision and source.
//
// <storage>/logs/current                              → <rev>
// <storage>/logs/<rev>/pantavisor/pantavisor.log      messages of our own services, one a line
// <storage>/logs/<rev>/<container>/messages.log       messages that the container sent to its sockets, one a line
// <storage>/logs/<rev>/<container>/console.log        what the container wrote on its console, as it is
// <storage>/logs/<rev>/<container>/lxc.log            what LXC says about the container, as it is
// each with one older generation beside it, `.1`
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { HealthReason } from '../../shared/schema/health.ts';
import { type BoundedFile, createBoundedFile, type LossListener } from './bounded-file.ts';
import { CURRENT, writeCurrent } from './current-link.ts';
import type { LogMessage, LogOutput, Opened } from './log-flow.ts';
import { messageLine } from './message-line.ts';

/** `root` is <storage>/logs. */
export function createFileTree(
  root: string,
  listener: LossListener,
  nowMs: () => number = () => performance.now(),
): LogOutput {
  let revision: string | undefined;
  let linkTrouble = '';
  const files = new Map<string, BoundedFile>();

  const fileAt = (...parts: readonly string[]): BoundedFile | undefined => {
    if (revision === undefined) return undefined;
    const path = join(root, revision, ...parts);
    const known = files.get(path);
    if (known !== undefined) return known;
    const file = createBoundedFile(path, nowMs, listener);
    files.set(path, file);
    return file;
  };
  const releaseAll = (): void => {
    for (const file of files.values()) file.release();
  };
  const link = (to: string): Opened => {
    try {
      if (to === CURRENT) throw new Error('this name belongs to the link; the revision needs another one');
      const folder = join(root, to, 'pantavisor');
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
      writeCurrent(root, to);
      linkTrouble = '';
      return { ok: true };
    } catch (error) {
      linkTrouble = error instanceof Error ? error.message : String(error);
      return { ok: false, path: join(root, to), reason: linkTrouble };
    }
  };
  return {
    messages(batch) {
      for (const [container, ofOne] of byContainer(batch)) {
        const file =
          container === undefined ? fileAt('pantavisor', 'pantavisor.log') : fileAt(container, 'messages.log');
        file?.append(Buffer.from(ofOne.map(messageLine).join('')));
      }
    },
    bytes({ container, source }, bytes) {
      fileAt(container, `${source}.log`)?.append(bytes);
    },
    openRevision(next) {
      if (next !== revision) {
        releaseAll();
        files.clear();
        revision = next;
      }
      return link(next);
    },
    refresh() {
      // Also what nobody has written to for a while: closed until it is needed.
      releaseAll();
      if (linkTrouble !== '' && revision !== undefined) link(revision);
    },
    troubles: () => [
      ...(linkTrouble === '' ? [] : [unwritable(join(root, revision ?? ''), linkTrouble)]),
      ...[...files.values()].flatMap(lossReason),
    ],
    close: releaseAll,
  };
}

/** Those of our services are under undefined. */
function byContainer(batch: readonly LogMessage[]): Map<string | undefined, LogMessage[]> {
  const groups = new Map<string | undefined, LogMessage[]>();
  for (const message of batch) {
    const { kind, name } = message.origin;
    const container = kind === 'container' ? name : undefined;
    const group = groups.get(container);
    if (group === undefined) groups.set(container, [message]);
    else group.push(message);
  }
  return groups;
}

function unwritable(path: string, detail: string): HealthReason {
  return { code: 'LOG_UNWRITABLE', subject: path, message: `${path} cannot be written: ${detail}` };
}

function lossReason(file: BoundedFile): HealthReason[] {
  const loss = file.loss();
  return loss === undefined ? [] : [unwritable(file.path, `${loss.reason}; ${loss.lines} lines dropped so far`)];
}
