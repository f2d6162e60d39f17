// How a bundle is started: `node boot.js <bundle>`. With --rehearse it is loaded only for the compiled code that is kept beside it.
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { loadBundle, rehearseBundle } from './load-bundle.ts';
import { V8_FLAGS } from './v8-flags.ts';

const [first = '', second = ''] = process.argv.slice(2);
if (first === '--rehearse') {
  // As a service has them, and a command has not: what they are about comes with its start, here they are only part of the code's name.
  if (second.endsWith('-svc.js')) for (const flag of V8_FLAGS) setFlagsFromString(flag);
  rehearseBundle(second);
} else {
  loadBundle(first);
}
