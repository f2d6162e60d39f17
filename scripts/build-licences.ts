// The licences of the packages that end up in dist/: whoever hands dist/ on has to hand these on as well.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';

const manifest = z.object({ name: z.string(), version: z.string(), license: z.string() });

/** `inputs`: files of packages, relative to `root`. */
export function licenceTexts(root: string, inputs: readonly string[]): string {
  const folders = new Set(inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path) ?? []));
  const parts = [...folders].sort().flatMap((folder) => {
    const path = join(root, folder);
    // An optional package of another platform.
    if (!existsSync(join(path, 'package.json'))) return [];
    const { name, version, license } = manifest.parse(JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')));
    const file = readdirSync(path).find((each) => /^(licen[cs]e|copying)/i.test(each));
    const text = file === undefined ? '' : readFileSync(join(path, file), 'utf8').trim();
    return [`${name} ${version} (${license})\n\n${text}`.trim()];
  });
  return `${parts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
