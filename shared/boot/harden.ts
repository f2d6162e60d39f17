// What flags of V8 would do for a service, done without them: with any flag V8 takes neither the code that it compiled of our bundles
// before nor what Node brings of its own, and compiles some sixty of Node's modules anew: 25 ms of CPU at each start.
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { alignedInterval } from '../ipc/aligned-interval.ts';

/** As --disallow-code-generation-from-strings has it: no text that came in becomes a program. To be called before anything else. */
export function forbidCodeFromText(): void {
  const refuse = (): never => {
    throw new EvalError('Code generation from strings disallowed for this context');
  };
  const kinds = [() => undefined, async () => undefined, function* () {}, async function* () {}];
  for (const kind of kinds) {
    const prototype: object = Object.getPrototypeOf(kind);
    const maker = function maker(): never {
      return refuse();
    };
    // `instanceof Function` goes on telling what is a function.
    maker.prototype = prototype;
    Object.defineProperty(prototype, 'constructor', { value: maker, writable: false, configurable: false });
    if (prototype === Function.prototype) lock('Function', maker);
  }
  lock('eval', refuse);
}

function lock(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: false, configurable: false });
}

/** A service at rest uses 4 to 6. */
const HEAP_LIMIT_BYTES = 128 * 1024 * 1024;
/** A multiple of what other timers of the tree have: it wakes nobody. */
const LOOK_MS = 5_000;

/**
 * The young generation is what bursts grow, and it never shrinks: it stays at its first 1 MiB. The old one may grow by half between two
 * collections, as with a heap that is small from the start. To be called once everything is loaded: from here on V8 compiles anew.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=50');
  // For threads: what forbidCodeFromText does is for this one.
  setFlagsFromString('--disallow-code-generation-from-strings');
}

/** Ends the process by an error that nobody catches when its heap is beyond the limit: V8's own limit is a part of the machine's memory. */
export function limitHeap(): void {
  alignedInterval(
    LOOK_MS,
    () => {
      const { used_heap_size: used } = getHeapStatistics();
      if (used > HEAP_LIMIT_BYTES) throw new Error(`the heap has ${used} bytes, more than ${HEAP_LIMIT_BYTES}`);
    },
    true,
  );
}
