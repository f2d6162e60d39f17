// What stands in a JSON text for each member of its object. In: the text. Out: key → the value as it is written, which JSON.parse does not
// keep: digits beyond those of a double, 1.0, the order of keys that are numbers. Pure.

/** `text` is a JSON object that JSON.parse takes. Of a key that is there twice the last counts, as for JSON.parse. */
export function memberTexts(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  let depth = 0;
  let key: string | undefined;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') {
      const end = endOfString(text, at);
      if (depth === 1) key ??= String(JSON.parse(text.slice(at, end)));
      at = end - 1;
    } else if (character === ':' && depth === 1) start = at + 1;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    const isEnd = depth === 0 || (depth === 1 && character === ',');
    if (!isEnd || key === undefined) continue;
    members.set(key, text.slice(start, at).trim());
    key = undefined;
  }
  return members;
}

/** After the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}
