// What a scenario is, and the stage on which it runs: an example's revision in a sandbox, with the NAT programs it is to have.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hidePrograms } from '../../scripts/sandbox/hide.ts';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { openTree, packExample, type Tree } from '../kit/tree.ts';

/** Which program there is for NAT. */
export type Backend = 'nftables' | 'iptables' | 'none';

export interface Stage {
  /** The example's folder in test/examples. */
  readonly example: string;
  readonly backend: Backend;
  /** Packs the example (`options` are those of `berth pack`) and starts Berth on it in a new sandbox. */
  boot(...options: readonly string[]): Promise<Tree>;
  /** A power cut: everything of the sandbox ends at once; then Berth starts in a new one, on the same storage. */
  powerCut(tree: Tree): Promise<Tree>;
  /** An empty folder, removed at the end. */
  folder(): string;
}

export interface Scenario {
  /** That of its folder in test/examples. */
  readonly name: string;
  readonly backends: readonly Backend[];
  /** Resolves with what was shown, in a few words; rejects with what was not. */
  readonly show: (stage: Stage) => Promise<string>;
}

export interface Outcome {
  readonly scenario: string;
  readonly backend: Backend;
  readonly ok: boolean;
  /** What was shown, or what went wrong. */
  readonly message: string;
  readonly seconds: number;
  /** pantavisor.log of what failed, all of its revisions. */
  readonly log: string;
}

const HIDDEN: Readonly<Record<Backend, readonly string[]>> = {
  nftables: [],
  iptables: ['nft'],
  none: ['nft', 'iptables'],
};

/** Never rejects, and leaves nothing behind. */
export async function runScenario({ name, show }: Scenario, backend: Backend): Promise<Outcome> {
  const began = performance.now();
  const undo: (() => Promise<void> | void)[] = [];
  const start = async (storage: string): Promise<Tree> => {
    const tree = await openTree(storage);
    undo.push(() => tree.close());
    hidePrograms(tree.sandbox, HIDDEN[backend]);
    tree.start();
    return tree;
  };
  let storage = '';
  const stage: Stage = {
    example: name,
    backend,
    boot(...options) {
      const packed = packExample(name, ...options);
      storage = packed;
      undo.push(() => rmSync(packed, { recursive: true, force: true }));
      return start(packed);
    },
    async powerCut(tree) {
      await tree.sandbox.close();
      return start(tree.storage);
    },
    folder() {
      const folder = mkdtempSync(join(tmpdir(), 'berth-scenario-'));
      undo.push(() => rmSync(folder, { recursive: true, force: true }));
      return folder;
    },
  };
  const outcome = (ok: boolean, message: string, log: string): Outcome => {
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    return { scenario: name, backend, ok, message, seconds, log };
  };
  let result: Outcome;
  try {
    result = outcome(true, await show(stage), '');
  } catch (error) {
    result = outcome(false, reasonOf(error), wholeLog(storage));
  }
  for (const step of undo.reverse()) {
    try {
      await step();
    } catch (error) {
      result = outcome(false, `cleaning up: ${String(error)}; ${result.message}`, result.log);
    }
  }
  return result;
}

/** pantavisor.log of every revision that ran on a storage, one after the other. */
export function wholeLog(storage: string): string {
  const logs = join(storage, 'logs');
  try {
    return readdirSync(logs, { withFileTypes: true })
      .flatMap(({ name }) =>
        name === 'locals' ? readdirSync(join(logs, name)).map((each) => `locals/${each}`) : [name],
      )
      .map((name) => join(logs, name, 'pantavisor/pantavisor.log'))
      .filter((path) => !path.startsWith(join(logs, 'current/')) && existsSync(path))
      .map((path) => readFileSync(path, 'utf8'))
      .join('');
  } catch {
    // Nothing ran, or not for long enough.
    return '';
  }
}
