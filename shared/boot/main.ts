// How a bundle is started: `node boot.js <bundle>`. With --rehearse it is loaded only for the compiled code that is kept beside it, or in another file.
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { loadBundle } from './load-bundle.ts';
import { rehearseBundle } from './rehearse-bundle.ts';
import { V8_DEFAULTS } from './v8-flags.ts';

const [first = '', second = '', third] = process.argv.slice(2);
if (first === '--rehearse') {
  rehearseBundle(second, third, require);
} else {
  for (const flag of V8_DEFAULTS) setFlagsFromString(flag);
  loadBundle(first, require);
}
