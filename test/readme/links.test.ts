// What the READMEs link to is there, with the heading that a link names; and nothing in them is a tag, which nobody would see.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const FOLDERS = ['services', 'shared', 'hw-tests', 'test/examples'];
const documents = [
  'README.md',
  'CHANGELOG.md',
  ...FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  ),
];

const proseOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8').replace(/```.*?```/gs, '');

/** As GitHub makes them of headings. */
function anchorsOf(path: string): readonly string[] {
  return [...proseOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function isThere(from: string, target: string): boolean {
  const [file = '', anchor] = target.split('#', 2);
  const path = file === '' ? from : join(dirname(from), file);
  return existsSync(join(ROOT, path)) && (anchor === undefined || anchorsOf(path).includes(anchor));
}

describe('readme.links', () => {
  for (const path of documents) {
    it(path, () => {
      const links = [...proseOf(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
      const lost = links.filter((target) => !target.startsWith('https://') && !isThere(path, target));
      assert.deepEqual(lost, []);
      const tags = proseOf(path)
        .replace(/<!--.*?-->/gs, '')
        .replace(/`[^`]*`/g, '')
        .match(/<\w[^>\n]*>/g);
      assert.deepEqual(tags, null);
    });
  }
});
