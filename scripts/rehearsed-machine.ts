// Loaded into a service that is rehearsed before anything of its own: what nobody's process cannot have of a machine is made up. A loop
// device is any file, an image is a folder that is bound, and lxc-start leaves a process that looks like its monitor for a few seconds.
import fs from 'node:fs';
import Module from 'node:module';
import process from 'node:process';
import { REHEARSED_ROOT } from './rehearsed-revision.ts';

type Call = (...args: unknown[]) => unknown;

const MS_BIND = 4096;
/** As LXC and the container's init do, in the logs that its configuration names: the log service has something to read. */
const SAY_SOMETHING = `for log in $(sed -n 's/^lxc.\\(log.file\\|console.logfile\\) = //p' "$6"); do echo 'it starts' >> "$log"; done`;
/**
 * As `lxc-start -d -n <2> -P <4> -f <6> -p <8>`. What it leaves looks like the monitor with a container's init below it, and ends with the
 * folder of the rehearsal, or by itself.
 */
const MONITOR = 'i=0; while [ -e "$1" ] && [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.1; done';
const LXC_START = `${SAY_SOMETHING}; unshare --pid --fork -- sh -c '${MONITOR}' lxc-start "$4" "$2" > /dev/null 2>&1 & printf %s $! > "$8"; sleep 0.2`;

const root = process.env[REHEARSED_ROOT] ?? '';

/** By the prototype that a function of the C library is declared with. */
function pretended(prototype: string, real: Call): Call {
  if (prototype.includes(' ioctl(')) return () => 0;
  if (prototype.includes(' mount(')) {
    return (source, target, type, ...rest) => {
      const result = type === 'squashfs' ? -1 : real(source, target, type, ...rest);
      return result === 0 ? result : real(root, target, 'none', MS_BIND, null);
    };
  }
  if (prototype.includes(' posix_spawn(')) {
    return (pid, path, actions, attributes, args, environment) => {
      const [name, ...own] = Array.isArray(args) ? args : [];
      if (name !== 'lxc-start') return real(pid, path, actions, attributes, args, environment);
      return real(pid, '/bin/sh', actions, attributes, ['sh', '-c', LXC_START, ...own], environment);
    };
  }
  return real;
}

function isKoffi(exports: unknown): exports is { load: Call } {
  return typeof exports === 'object' && exports !== null && 'load' in exports && 'errno' in exports;
}

function call(of: unknown, name: string, args: unknown[]): unknown {
  const method: unknown = typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined;
  return typeof method === 'function' ? Reflect.apply(method, of, args) : undefined;
}

const known = new WeakSet<object>();
const load: unknown = Reflect.get(Module, '_load');
Reflect.set(Module, '_load', (...args: unknown[]) => {
  const loaded: unknown = typeof load === 'function' ? Reflect.apply(load, Module, args) : undefined;
  if (!isKoffi(loaded) || known.has(loaded)) return loaded;
  known.add(loaded);
  const realLoad = loaded.load;
  loaded.load = (path) => {
    const library = realLoad(path);
    return {
      func(prototype: string) {
        const real: unknown = call(library, 'func', [prototype]);
        return typeof real === 'function'
          ? pretended(prototype, (...given) => Reflect.apply(real, undefined, given))
          : real;
      },
    };
  };
  return loaded;
});

const { openSync, accessSync } = fs;
fs.openSync = (path, flags, mode) =>
  String(path).startsWith('/dev/loop') ? openSync('/dev/null', 'r') : openSync(path, flags, mode);
fs.accessSync = (path, mode) => {
  if (!String(path).endsWith('/lxc-start')) accessSync(path, mode);
};
