// Numbers of an LXC configuration as LXC reads them: strtoul(3) with base 0, within 32 bits (lxc_safe_uint() in src/lxc/string_utils.c). Pure.

const WRITTEN = /^\+?(?:0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i;
const MAX = 0xffff_ffff;

/** `8`, `+8`, `0x8`, and in octal `010`; undefined for what LXC takes for no number. */
export function unsignedNumber(text: string): number | undefined {
  if (!WRITTEN.test(text)) return undefined;
  const digits = text.replace('+', '');
  const number = /^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return number <= MAX ? number : undefined;
}
