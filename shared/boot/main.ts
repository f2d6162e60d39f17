// How a bundle is started: `node boot.js <bundle>`. With --rehearse it is loaded only for the compiled code that is kept beside it.
import process from 'node:process';
import { forbidCodeFromText, keepHeapSmall, limitHeap } from './harden.ts';
import { loadBundle, rehearseBundle } from './load-bundle.ts';

const [first = '', second = ''] = process.argv.slice(2);
if (first === '--rehearse') {
  rehearseBundle(second);
} else {
  forbidCodeFromText();
  loadBundle(first);
  keepHeapSmall();
  limitHeap();
}
