// bsp/drivers.json: which modules a driver is, for every board (`all`), for one (`dtb:<device tree>`), with an overlay (`ovl:<overlay>`).
import * as z from 'zod/mini';
import { DRIVER_NAME, MODULE_NAME } from '../schema/drivers.ts';
import { readDocument } from './document.ts';
import type { DriverSection, Problem } from './revision.ts';

const PATH = 'bsp/drivers.json';
const SECTION = /^(?:all$|dtb:.|ovl:.)/;

/** A line that is longer than the kernel's own is of no use to a module: COMMAND_LINE_SIZE is at most 4096. */
const MAX_LINE = 4096;
/** A module and its options, in which `${user-meta:<key>}` and `${device-meta:<key>}` stand for values of the metadata. */
const LINE = new RegExp(
  `^(?=[^]{0,${MAX_LINE}}$)\\s*${MODULE_NAME}(?:\\s(?:[^$\\0]|\\$\\{(?:user|device)-meta:[^{}$\\s]+\\})*)?$`,
);
const rule = `a module’s name and its options, up to ${MAX_LINE} characters, in which \${user-meta:KEY} may stand`;
const moduleLine = z.string().check(z.regex(LINE, rule));
const section = z.record(z.string().check(z.regex(DRIVER_NAME, 'a driver’s name')), z.array(moduleLine));

export interface ReadDrivers {
  readonly sections: readonly DriverSection[];
  readonly problems: readonly Problem[];
  readonly ignored: readonly string[];
}

/** Codes: BAD_TYPE, BAD_VALUE. */
export function readDrivers(documents: ReadonlyMap<string, unknown>): ReadDrivers {
  const written = documents.get(PATH) ?? {};
  const names = typeof written === 'object' ? Object.keys(written).filter((key) => SECTION.test(key)) : [];
  const schema = z.object({
    '#spec': z.optional(z.literal('driver-aliases@1')),
    ...Object.fromEntries(names.map((name) => [name, z.optional(section)])),
  });
  const { value, problems, ignored } = readDocument(schema, written, PATH);
  const sections = names.flatMap((name): DriverSection[] => {
    const modules = section.safeParse(Reflect.get(value, name));
    return modules.success ? [{ name, drivers: new Map(Object.entries(modules.data)) }] : [];
  });
  return { sections, problems, ignored };
}
