// How a bundle is started: `node boot.js <bundle>`. With --rehearse it is loaded only for the compiled code that is kept beside it, or in another file.
import process from 'node:process';
import { loadBundle } from './load-bundle.ts';
import { V8_DEFAULTS } from './v8-flags.ts';

type SetFlag = (flag: string) => void;

/**
 * node:v8 loads thirty modules of Node's, and has them compiled because V8_FLAGS hold until then: some 5 ms of CPU more than the binding
 * behind it, which Node refuses under its permission model, and from Node 24 on altogether.
 */
function bindingsSetFlag(): SetFlag | undefined {
  const { noDeprecation } = process;
  // Nobody who reads the last words of a service can do anything about it.
  process.noDeprecation = true;
  try {
    const binding: unknown = Reflect.apply(Reflect.get(process, 'binding'), process, ['v8']);
    const set: unknown = typeof binding === 'object' && binding !== null && Reflect.get(binding, 'setFlagsFromString');
    return typeof set === 'function' ? (flag) => Reflect.apply(set, binding, [flag]) : undefined;
  } catch {
    return undefined;
  } finally {
    process.noDeprecation = noDeprecation ?? false;
  }
}

const [first = '', second = '', third] = process.argv.slice(2);
if (first === '--rehearse') {
  void import('./rehearse-bundle.ts').then(({ rehearseBundle }) => rehearseBundle(second, third));
} else {
  const set = bindingsSetFlag() ?? process.getBuiltinModule('node:v8').setFlagsFromString;
  for (const flag of V8_DEFAULTS) set(flag);
  loadBundle(first);
}
