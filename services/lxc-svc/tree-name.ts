// What tells the trees on one machine apart where they share a place: in the names of control groups.
import { statSync } from 'node:fs';
import { sha256 } from '../../shared/digest/sha256.ts';

/** The same as long as the folder is: two trees may have the same path in different mount namespaces, and share the control groups. */
export function treeOf(rundir: string): string {
  const { dev, ino } = statSync(rundir);
  return sha256(`${rundir} ${dev} ${ino}`).toString('hex').slice(0, 8);
}

/** With it begin the names of all control groups of a tree. */
export function cgroupPrefix(tree: string): string {
  return `berth.${tree}.`;
}
