// Other words that Pantavisor's client has for the same commands. In: two words of a command line; out: those of the table.

const FIRST: ReadonlyMap<string, string> = new Map([
  ['list', 'ls'],
  ['command', 'cmd'],
  ['commands', 'cmd'],
  ['configuration', 'conf'],
]);
const SECOND: ReadonlyMap<string, string> = new Map([['list', 'ls']]);
/** Where the second word means something else elsewhere. */
const BOTH: ReadonlyMap<string, string> = new Map([['devmeta upload', 'save']]);

export function firstWordOf(first: string): string {
  return FIRST.get(first) ?? first;
}

/** `first` is one of the table. */
export function secondWordOf(first: string, second: string): string {
  return BOTH.get(`${first} ${second}`) ?? SECOND.get(second) ?? second;
}
