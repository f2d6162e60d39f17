// What a service loads of Node later than its bundle.
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { V8_IMPATIENCE, V8_PATIENCE } from './v8-flags.ts';

/** `node boot.js --rehearse …` has V8's own flags all the time, and must have them when it writes down the code that it was learnt with. */
const isRehearsal = (): boolean => process.argv[2] === '--rehearse';

/**
 * Calls `load`, which loads modules of Node, and answers what it does. V8 takes the code that Node brings compiled only with the flags that it was
 * compiled with: node:crypto takes 2.6 ms of CPU so, and 6.7 with V8_PATIENCE.
 */
export function loadLater<Loaded>(load: () => Loaded): Loaded {
  if (isRehearsal()) return load();
  setFlagsFromString(V8_IMPATIENCE);
  try {
    return load();
  } finally {
    setFlagsFromString(V8_PATIENCE);
  }
}
