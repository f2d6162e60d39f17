// POSIX extended regular expressions (regex(7)), as mdev's rules have them. Own work, as who writes a revision writes them: the time of a
// match is bounded by the product of both lengths, where JavaScript's could take for ever. In: an expression. Out: what finds it. Pure.

type CharSet = (char: string) => boolean;

type Expression =
  | { readonly kind: 'char'; readonly has: CharSet }
  | { readonly kind: 'begin' | 'end' }
  | { readonly kind: 'group'; readonly number: number; readonly inside: Expression }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choice'; readonly parts: readonly Expression[] }
  /** `most`: undefined for as often as it goes. */
  | { readonly kind: 'repeat'; readonly what: Expression; readonly least: number; readonly most: number | undefined };

/** `next`, `other`: numbers of steps, the first of them tried first. */
type Step =
  | { readonly kind: 'char'; readonly has: CharSet }
  | { readonly kind: 'begin' | 'end' | 'found' }
  | { readonly kind: 'save'; readonly slot: number }
  | { readonly kind: 'fork'; next: number; other: number };

export interface ExtendedRegex {
  /** How long it is, with repetitions written out: a match takes that for each character, and no longer. */
  readonly steps: number;
  /** Of a text that it matches as a whole: that, and what each of its groups has matched; undefined: it does not. */
  whole(text: string): readonly string[] | undefined;
  /** Whether it matches any part of the text. */
  isIn(text: string): boolean;
}

/** With repetitions written out. */
const MAX_STEPS = 256;
const MAX_DEPTH = 32;
/** RE_DUP_MAX of POSIX. */
const MAX_REPEAT = 255;

const CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[A-Za-z0-9]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  cntrl: /\p{Cc}/u,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /\s/,
  upper: /[A-Z]/,
  xdigit: /[0-9A-Fa-f]/,
};
/** GNU's, which busybox has, too. */
const ESCAPES: Readonly<Record<string, RegExp>> = { w: /\w/, W: /\W/, s: /\s/, S: /\S/ };

/** Throws an error that says what of it cannot be understood. */
export function parseExtendedRegex(text: string): ExtendedRegex {
  const program = compile(parse(text));
  return {
    steps: program.length,
    whole: (subject) => search(program, subject, [0], true),
    isIn: (subject) =>
      search(
        program,
        subject,
        Array.from({ length: subject.length + 1 }, (_, at) => at),
        false,
      ) !== undefined,
  };
}

function parse(text: string): Expression {
  let at = 0;
  let groups = 0;

  const choice = (depth: number): Expression => {
    if (depth > MAX_DEPTH) throw new Error(`has more than ${MAX_DEPTH} groups in one another`);
    const parts = [sequence(depth)];
    while (text[at] === '|') {
      at += 1;
      parts.push(sequence(depth));
    }
    return { kind: 'choice', parts };
  };

  const sequence = (depth: number): Expression => {
    const parts: Expression[] = [];
    while (at < text.length && text[at] !== '|' && !(text[at] === ')' && depth > 0)) parts.push(repeated(depth));
    return { kind: 'sequence', parts };
  };

  const repeated = (depth: number): Expression => {
    let what = single(depth);
    for (let times = repetition(); times !== undefined; times = repetition()) what = { kind: 'repeat', what, ...times };
    return what;
  };

  const repetition = (): { readonly least: number; readonly most: number | undefined } | undefined => {
    const written = /^(?:[*+?]|\{(\d+)(,(\d*))?\})/.exec(text.slice(at, at + 16));
    if (written === null) return undefined;
    at += written[0].length;
    if (written[0] === '*') return { least: 0, most: undefined };
    if (written[0] === '+') return { least: 1, most: undefined };
    if (written[0] === '?') return { least: 0, most: 1 };
    const least = Number(written[1]);
    const most = written[2] === undefined ? least : written[3] === '' ? undefined : Number(written[3]);
    if (Math.max(least, most ?? 0) > MAX_REPEAT || (most ?? least) < least) throw new Error(`has ${written[0]}`);
    return { least, most };
  };

  const single = (depth: number): Expression => {
    const char = text[at] ?? '';
    at += 1;
    if (char === '(') {
      groups += 1;
      const number = groups;
      const inside = choice(depth + 1);
      if (text[at] !== ')') throw new Error('has a ( without its )');
      at += 1;
      return { kind: 'group', number, inside };
    }
    if (char === ')') throw new Error('has a ) without its (');
    if ('*+?'.includes(char)) throw new Error(`has nothing before a ${char}`);
    if (char === '^') return { kind: 'begin' };
    if (char === '$') return { kind: 'end' };
    if (char === '.') return { kind: 'char', has: () => true };
    if (char === '[') return { kind: 'char', has: bracket() };
    if (char === '\\') return { kind: 'char', has: escaped() };
    return { kind: 'char', has: (each) => each === char };
  };

  const escaped = (): CharSet => {
    const char = text[at];
    if (char === undefined) throw new Error('ends with a \\');
    at += 1;
    const set = ESCAPES[char];
    if (set !== undefined) return (each) => set.test(each);
    if (/[0-9bB<>`']/.test(char)) throw new Error(`has \\${char}, which is not supported`);
    return (each) => each === char;
  };

  const bracket = (): CharSet => {
    const isInverted = text[at] === '^';
    if (isInverted) at += 1;
    const sets: CharSet[] = [];
    for (const first = at; text[at] !== ']' || at === first; ) {
      if (at >= text.length) throw new Error('has a [ without its ]');
      sets.push(member());
    }
    at += 1;
    return (each) => sets.some((has) => has(each)) !== isInverted;
  };

  /** Of a bracket: a class, a range or a character; a backslash is one of these. */
  const member = (): CharSet => {
    const named = /^\[([:.=])(.*?)\1\]/s.exec(text.slice(at, at + 16));
    if (named !== null) {
      const set = named[1] === ':' ? CLASSES[named[2] ?? ''] : undefined;
      if (set === undefined) throw new Error(`has ${named[0]}, which is not supported`);
      at += named[0].length;
      return (each) => set.test(each);
    }
    const from = text[at] ?? '';
    const to = text[at + 1] === '-' && text[at + 2] !== undefined && text[at + 2] !== ']' ? text[at + 2] : undefined;
    at += to === undefined ? 1 : 3;
    if (to !== undefined && to < from) throw new Error(`has the range ${from}-${to}`);
    return (each) => each >= from && each <= (to ?? from);
  };

  return choice(0);
}

function compile(expression: Expression): readonly Step[] {
  const program: Step[] = [];
  const add = <T extends Step>(step: T): T => {
    if (program.length >= MAX_STEPS) throw new Error('is too long, with its repetitions written out');
    program.push(step);
    return step;
  };
  const fork = (): Extract<Step, { kind: 'fork' }> => {
    const step = { kind: 'fork' as const, next: 0, other: 0 };
    add(step);
    step.next = program.length;
    return step;
  };
  const write = (each: Expression): void => {
    if (each.kind === 'sequence') {
      for (const part of each.parts) write(part);
    } else if (each.kind === 'choice') writeChoice(each.parts);
    else if (each.kind === 'repeat') writeRepeat(each.what, each.least, each.most);
    else if (each.kind === 'group') {
      add({ kind: 'save', slot: 2 * each.number });
      write(each.inside);
      add({ kind: 'save', slot: 2 * each.number + 1 });
    } else add(each);
  };
  const writeChoice = ([first, ...rest]: readonly Expression[]): void => {
    if (first === undefined) return;
    if (rest.length === 0) {
      write(first);
      return;
    }
    const way = fork();
    write(first);
    // Both ways lead behind the others.
    const skip = fork();
    way.other = program.length;
    writeChoice(rest);
    skip.next = skip.other = program.length;
  };
  const writeRepeat = (what: Expression, least: number, most: number | undefined): void => {
    for (let times = 0; times < least; times += 1) write(what);
    if (most === undefined) {
      const start = program.length;
      const loop = fork();
      write(what);
      const back = fork();
      back.next = back.other = start;
      loop.other = program.length;
      return;
    }
    const ways: Extract<Step, { kind: 'fork' }>[] = [];
    for (let times = least; times < most; times += 1) {
      ways.push(fork());
      write(what);
    }
    for (const way of ways) way.other = program.length;
  };
  write(expression);
  add({ kind: 'found' });
  return program;
}

interface Pending {
  readonly step: number;
  readonly place: number;
  /** What the slots were when it was put off. */
  readonly slots: readonly number[];
}

/** Tries each step at each place once: what has failed there fails again, however it is come to. */
function search(
  program: readonly Step[],
  text: string,
  starts: readonly number[],
  isWhole: boolean,
): readonly string[] | undefined {
  const tried = new Uint8Array(program.length * (text.length + 1));
  const pending: Pending[] = starts.map((place) => ({ step: 0, place, slots: [] })).reverse();
  for (let each = pending.pop(); each !== undefined; each = pending.pop()) {
    let { step: number, place, slots } = each;
    for (let step = program[number]; step !== undefined; step = program[number]) {
      const mark = number * (text.length + 1) + place;
      if (tried[mark] === 1) break;
      tried[mark] = 1;
      number += 1;
      if (step.kind === 'found') {
        if (isWhole && place < text.length) break;
        return [text, ...groupsOf(slots, text)];
      }
      if (step.kind === 'fork') {
        if (step.other !== step.next) pending.push({ step: step.other, place, slots });
        number = step.next;
      } else if (step.kind === 'save') {
        const saved = [...slots];
        saved[step.slot] = place;
        slots = saved;
      } else if (step.kind === 'char') {
        if (place >= text.length || !step.has(text[place] ?? '')) break;
        place += 1;
      } else if (place !== (step.kind === 'begin' ? 0 : text.length)) break;
    }
  }
  return undefined;
}

function groupsOf(slots: readonly number[], text: string): readonly string[] {
  return Array.from({ length: Math.max(0, Math.floor(slots.length / 2) - 1) }, (_, index) =>
    text.slice(slots[2 * index + 2] ?? 0, slots[2 * index + 3] ?? 0),
  );
}
