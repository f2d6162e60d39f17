// Sets and deletes metadata until it is killed; tells every change that was acknowledged, one line each.
import process from 'node:process';
import { openMetadataStore } from '../../services/state-svc/metadata-store.ts';
import { silentLogger } from '../../shared/log/logger.ts';

const [folder = ''] = process.argv.slice(2);

async function main(): Promise<void> {
  const store = await openMetadataStore(folder, silentLogger, () => undefined);
  for (let round = 1; ; round += 1) {
    const key = `k${round % 4}`;
    const value = `${round} ${'x'.repeat(round % 5000)}`;
    const deletes = round % 7 === 0;
    const failed = deletes ? await store.delete(key) : await store.set(key, value);
    if (failed === undefined) process.stdout.write(`${key} ${deletes ? 0 : round}\n`);
  }
}

void main();
