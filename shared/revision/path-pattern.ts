// Which paths of a state a pattern of a signature means: `*` and `?` within one part of a path, `**` for any number of parts. Pure.

/** What pvr knows beyond that, and nobody uses; a pattern that was read otherwise than it was signed would select otherwise. */
const UNREADABLE = /[[\]{}\\]/;

/** Undefined: it can be read. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === '') return 'is empty';
  if (UNREADABLE.test(pattern)) return 'has [ ] { } or \\, which is not supported; use *, ? and **';
  return undefined;
}

/** `a/**` is everything below a, and not a itself. Time is bounded by the product of both lengths, whoever wrote the pattern. */
export function matchesPattern(pattern: string, path: string): boolean {
  const parts = pattern.split('/');
  const isTree = parts.length > 1 && parts.at(-1) === '**';
  const wanted = isTree ? [...parts.slice(0, -1), '*', '**'] : parts;
  return matches(wanted, path.split('/'), '**', matchesPart);
}

function matchesPart(pattern: string, part: string): boolean {
  return matches([...pattern], [...part], '*', (wanted, found) => wanted === '?' || wanted === found);
}

/** Of several stars only the last one that was met is ever tried again, so it does not explode. */
function matches(
  pattern: readonly string[],
  found: readonly string[],
  star: string,
  matchesOne: (wanted: string, found: string) => boolean,
): boolean {
  let [at, place] = [0, 0];
  let retry: { readonly at: number; place: number } | undefined;
  while (place < found.length) {
    const [wanted, each] = [pattern[at], found[place]];
    if (wanted === star) {
      retry = { at, place };
      at += 1;
    } else if (wanted !== undefined && each !== undefined && matchesOne(wanted, each)) {
      at += 1;
      place += 1;
    } else if (retry !== undefined) {
      retry.place += 1;
      at = retry.at + 1;
      place = retry.place;
    } else {
      return false;
    }
  }
  return pattern.slice(at).every((rest) => rest === star);
}
