// The zod of the bundles beside the real one: the same schemas, made later.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { describe, it } from 'node:test';
import { build, type Plugin } from 'esbuild';
import * as z from 'zod/mini';
import { lazyZod } from '../../scripts/bundles.ts';

const answer = z.object({
  builtAtRest: z.int(),
  schemas: z.record(z.string(), z.unknown()),
  samples: z.array(z.unknown()),
});

async function answerOf(plugins: Plugin[]): Promise<z.output<typeof answer>> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'lazy-zod.fixture.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
    plugins,
  });
  const program = outputFiles[0]?.text ?? '';
  const options = { input: program, encoding: 'utf8' } as const;
  return answer.parse(JSON.parse(execFileSync(process.execPath, ['--input-type=module'], options)));
}

describe('lazy-zod', () => {
  it('makes the schemas of every contract that zod makes, and answers as they do', async () => {
    const [real, lazy] = await Promise.all([answerOf([]), answerOf([lazyZod])]);
    assert.ok(Object.keys(real.schemas).length > 100);
    assert.deepEqual(lazy.schemas, real.schemas);
    assert.deepEqual(lazy.samples, real.samples);
  });

  it('builds no schema before one is used', async () => {
    const { builtAtRest } = await answerOf([lazyZod]);
    assert.equal(builtAtRest, 0);
  });
});
