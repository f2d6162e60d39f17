// Containers whose init is a script of the test, run until it is done.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { NamedVolume } from '../../shared/schema/storage.ts';
import { eventually, PATIENCE_MS } from '../kit/eventually.ts';
import { makeContainer, mountOf, type Rig, RUNDIR, STORAGE, startOf } from './rig.ts';
import { consoleOf } from './runs.ts';

export type Files = Readonly<Record<string, string>>;

export function writeFiles(folder: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text, { mode: 0o600 });
  }
}

function makeSquashfs(container: string, file: string, files: Files): void {
  const folder = mkdtempSync('/run/squash-');
  writeFiles(folder, files);
  const target = join(STORAGE, 'trails/0', container, file);
  execFileSync('mksquashfs', [folder, target, '-quiet', '-no-progress', '-noappend', '-all-root'], { stdio: 'ignore' });
  rmSync(folder, { recursive: true });
}

/** The init is a script of its volume tools.squashfs, mounted on /opt. */
export function makeScripted(name: string, script: string, entries: readonly string[]): void {
  const lines = [`/volumes/${name}/tools.squashfs opt none bind,ro,create=dir 0 0`, ...entries];
  makeContainer(name, 'deaf', lines.map((line) => `lxc.mount.entry = ${line}`).join('\n'));
  const config = join(STORAGE, 'trails/0', name, 'lxc.container.conf');
  const text = readFileSync(config, 'utf8');
  writeFileSync(config, text.replace(/^lxc\.init\.cmd.*$/m, 'lxc.init.cmd = /bin/sh /opt/init.sh'));
  makeSquashfs(name, 'tools.squashfs', { 'init.sh': `${script}\necho done\nwhile :; do sleep 1; done\n` });
}

/** Answers what it said. */
export async function runToTheEnd(
  rig: Rig,
  container: string,
  wanted: Parameters<Rig['lxc']['mount']>[0],
  how: Partial<Parameters<Rig['lxc']['start']>[0]> = {},
): Promise<string> {
  rig.value(await rig.lxc.mount(wanted));
  // Of the run before.
  truncateSync(join(RUNDIR, 'lxc/.consoles', container, 'console.log'));
  rig.value(await rig.lxc.start({ ...startOf(container), ...how }));
  return eventually(`${container} is done`, PATIENCE_MS, () => {
    const text = consoleOf(container).replaceAll('\r', '');
    return text.includes('done\n') ? text : undefined;
  });
}

export async function end(rig: Rig, container: string): Promise<void> {
  rig.value(await rig.lxc.stop({ container, graceMs: 0 }));
  rig.value(await rig.lxc.unmount({ container }));
}

export function allOf(container: string, volumes: readonly NamedVolume[] = [], exports: readonly string[] = []) {
  const mount = mountOf(container);
  return {
    ...mount,
    squashfs: ['tools.squashfs'],
    volumes: [...mount.volumes, ...volumes],
    exports: [...exports],
  };
}
