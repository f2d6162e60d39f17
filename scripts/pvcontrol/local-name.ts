// Names of revisions that come to the device: `locals/` and one part. Pure.
import { basename } from 'node:path';
import { REVISION_NAME_RULE, revisionName } from '../../shared/schema/names.ts';
import { printable } from './failure.ts';

/** After locals/. */
const MAX_NAME = 64;

/** `locals/` and the name of the file, as far as that can be a revision's, with `end` after it. */
export function localNameOf(file: string, end = ''): string {
  const name = basename(file).replace(/\.(tgz|tar\.gz)$/, '');
  const legal = name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return `locals/${legal.slice(0, MAX_NAME - end.length)}${end}`;
}

/** What the device says of it too, but only once it has all objects. */
export function nameRefusal(name: string): string | undefined {
  if (name.startsWith('locals/') && revisionName.safeParse(name).success) return undefined;
  return `'${printable(name)}' cannot be the name of a revision: write locals/ and ${REVISION_NAME_RULE}`;
}
