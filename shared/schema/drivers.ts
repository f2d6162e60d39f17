// Drivers as containers name them, and the kernel modules that they are.
import * as z from 'zod/mini';

export const DRIVER_NAME = /^[A-Za-z0-9_][A-Za-z0-9._:+-]{0,63}$/;
export const driverName = z
  .string()
  .check(z.regex(DRIVER_NAME, 'a driver’s name: up to 64 of A-Z a-z 0-9 . _ : + -, not starting with a sign'));

/** MODULE_NAME_LEN of linux (include/linux/moduleparam.h) is 56 on 64 bits. Never an option of modprobe. */
export const MODULE_NAME = '[A-Za-z0-9_][A-Za-z0-9_-]{0,63}';
/** `parameter` or `parameter=value`. */
const MODULE_OPTION = /^[A-Za-z0-9_][^\s\0]{0,511}$/;

export const kernelModule = z.strictObject({
  name: z.string().check(z.regex(new RegExp(`^${MODULE_NAME}$`), 'a module’s name')),
  options: z
    .array(z.string().check(z.regex(MODULE_OPTION, 'an option of a module: parameter=value, without blanks')))
    .check(z.maxLength(64)),
});
export type KernelModule = z.output<typeof kernelModule>;

/** What of the board decides which modules a driver is. */
export const board = z.strictObject({
  /** Of the device tree, and what else it is known by: its compatible names, the file that the boot loader took. */
  deviceTrees: z.array(z.string()),
  overlays: z.array(z.string()),
});
export type Board = z.output<typeof board>;

/** In the order and the words of the stock runtime. */
export const driverRow = z.strictObject({
  name: z.string(),
  type: z.enum(['REQUIRED', 'OPTIONAL', 'MANUAL']),
  /** UNKNOWN: bsp/drivers.json has no such driver for this board. */
  status: z.enum(['LOADED', 'UNLOADED', 'UNKNOWN']),
});
export type DriverRow = z.output<typeof driverRow>;
