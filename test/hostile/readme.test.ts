// What the README says of security is what the tests say: every test that it names is there.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');

describe('hostile.readme', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const section = readme.slice(readme.indexOf('## Security\n'), readme.indexOf('## Limits\n'));
  const named = [...section.matchAll(/`(\w+)`: "([^"]+)"/g)].map(([, file, name]) => ({ file, name }));

  it('names every test of a hostile container, and none that is not there', () => {
    for (const { file, name } of named) {
      const tests = readFileSync(join(import.meta.dirname, `${file}.test.ts`), 'utf8');
      assert.ok(tests.includes(`it('${name}'`), `${file}: ${name}`);
    }
    for (const file of ['network', 'resources']) {
      const tests = readFileSync(join(import.meta.dirname, `${file}.test.ts`), 'utf8');
      const there = [...tests.matchAll(/\bit\('([^']+)'/g)].map(([, name]) => name);
      assert.deepEqual(
        named
          .filter((each) => each.file === file)
          .map(({ name }) => name)
          .sort(),
        there.sort(),
      );
    }
  });

  it('names files that are there', () => {
    const paths = [...section.matchAll(/`(test\/[\w./-]+)`/g)].map(([, path]) => path ?? '');
    assert.ok(paths.length > 5);
    for (const path of paths) assert.ok(existsSync(join(ROOT, path)), path);
  });
});
