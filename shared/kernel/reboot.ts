// reboot(2): for whoever is the machine's init and has nobody to ask.
import koffi from 'koffi';
import { kernelError } from './libc.ts';

const libc = koffi.load(null);
const cSync: () => void = libc.func('void sync(void)');
const cReboot: (command: number) => number = libc.func('int reboot(int command)');

/** linux/reboot.h */
const COMMANDS = { reboot: 0x01234567, poweroff: 0x4321fedc } as const;

/** What is in memory is written out first. Returns only from a namespace of processes, whose init is told by a signal. Throws KernelError. */
export function endMachineNow(how: 'reboot' | 'poweroff'): void {
  cSync();
  if (cReboot(COMMANDS[how]) < 0) throw kernelError(koffi.errno(), 'reboot');
}
