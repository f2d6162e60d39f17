// Whether a program has capabilities of its own (capabilities(7)), for which Node has no call.
import koffi from 'koffi';

const cGetxattr: (path: string, name: string, value: null, size: number) => number = koffi
  .load(null)
  .func('long lgetxattr(const char *path, const char *name, void *value, size_t size)');

/** False also where there is nothing, or nothing that may be looked at. */
export function hasFileCapabilities(path: string): boolean {
  return cGetxattr(path, 'security.capability', null, 0) > 0;
}
