// How a bundle is started: `node boot.js <bundle>`. With --rehearse it is loaded only for the compiled code that is kept beside it, or in another file.
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { loadBundle } from './load-bundle.ts';
import { rehearseBundle } from './rehearse-bundle.ts';
import { V8_DEFAULTS, V8_PATIENCE } from './v8-flags.ts';

const [first = '', second = '', third] = process.argv.slice(2);
if (first === '--rehearse') {
  rehearseBundle(second, third, require);
} else {
  for (const flag of V8_DEFAULTS) setFlagsFromString(flag);
  shrinkNumberCache();
  loadBundle(first, require);
  setFlagsFromString(V8_PATIENCE);
}

/**
 * V8 remembers the texts of numbers. Node's snapshot comes with room for 16,384 of them, 262 KB; V8 makes that room anew when two numbers meet
 * at one place of it, as large as the young generation asks for: 32 KB with that of V8_FLAGS. Numbers of few digits after the point all meet.
 */
function shrinkNumberCache(): void {
  for (const number of [0.5, 1.5]) String(number);
}
