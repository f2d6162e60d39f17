// Requests over the control socket while services die: each must end in an answer, and what may come instead depends on who was struck.
import { Buffer } from 'node:buffer';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from '../../shared/kernel/system-error.ts';
import { holdAgainstDocument } from '../../test/kit/declared.ts';

/** Milliseconds; above every deadline that a request can have, so that no answer within it is a hang. */
const HANG_MS = 45_000;
const PAUSE_MS = 40;
const PATHS = ['/containers', '/services', '/ipam/leases', '/groups', '/steps/current/progress', '/user-meta'];

/** `broken`: taken, and the connection ended. `refused`: nobody listens. `silent`: no answer. `wrong`: not what the document says. */
export type Ending =
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  | { readonly kind: 'broken' | 'refused' | 'silent' | 'wrong'; readonly what: string };

export interface Asked {
  readonly what: string;
  readonly ms: number;
  readonly ending: Ending;
}

/** What may befall a request that has not been answered yet. */
export interface Excuse {
  /** ctl-svc, which holds accepted connections, may have died with them. */
  readonly ctl: boolean;
  /** The whole tree may have been away, and its listening sockets with it. */
  readonly tree: boolean;
}

/** `body`: its pieces, and a pause before each. */
export async function put(
  socketPath: string,
  method: string,
  path: string,
  body: readonly (string | Buffer)[] = [],
  pauseMs = 0,
): Promise<Asked> {
  const began = performance.now();
  const ending = await exchange(socketPath, method, path, body, pauseMs);
  return { what: `${method} ${path}`, ms: performance.now() - began, ending };
}

export const isAccepted = ({ ending }: Asked): boolean => ending.kind === 'answer' && ending.status === 200;

/** Undefined when the request ended as it may. */
export function complaintAbout({ what, ending }: Asked, { ctl, tree }: Excuse): string | undefined {
  switch (ending.kind) {
    case 'answer':
      return ending.status === 200 || ending.status === 503 ? undefined : `${what}: ${ending.status} ${ending.body}`;
    case 'broken':
      return ctl || tree ? undefined : `${what}: its connection broke, and ctl-svc was not struck (${ending.what})`;
    case 'refused':
      return tree ? undefined : `${what}: refused, and there was a tree all the time (${ending.what})`;
    default:
      return `${what}: ${ending.kind}: ${ending.what}`;
  }
}

export interface Asker {
  /** Ends it; resolves with everything that it asked. */
  stop(): Promise<readonly Asked[]>;
}

/** Asks for one list after the other, at a pace that costs little. */
export function startAsker(socketPath: string): Asker {
  const asked: Asked[] = [];
  let ends = false;
  const turn = async (): Promise<void> => {
    for (let index = 0; !ends; index += 1) {
      asked.push(await put(socketPath, 'GET', PATHS[index % PATHS.length] ?? '/containers'));
      await delay(PAUSE_MS);
    }
  };
  const ended = turn();
  return {
    async stop() {
      ends = true;
      await ended;
      return asked;
    },
  };
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  body: readonly (string | Buffer)[],
  pauseMs: number,
): Promise<Ending> {
  return new Promise((resolve) => {
    const length = body.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
    const headers = length === 0 ? {} : { 'content-length': length };
    const outgoing = request({ socketPath, method, path, headers, agent: false }, async (response) => {
      const contentType = response.headers['content-type'];
      try {
        const answer = { status: response.statusCode ?? 0, body: await text(response) };
        clearTimeout(patience);
        resolve(judged({ kind: 'answer', ...answer }, { method, target: path, contentType }));
      } catch (error) {
        resolve({ kind: 'broken', what: String(error) });
      }
    });
    const patience = setTimeout(() => {
      resolve({ kind: 'silent', what: `no answer within ${HANG_MS} ms` });
      outgoing.destroy();
    }, HANG_MS);
    outgoing.on('error', (error) => {
      clearTimeout(patience);
      const refused = ['ECONNREFUSED', 'ENOENT'].some((code) => error.message.includes(code));
      resolve({ kind: refused ? 'refused' : 'broken', what: error.message });
    });
    void send(outgoing, body, pauseMs);
  });
}

function judged(
  answer: Extract<Ending, { kind: 'answer' }>,
  asked: { readonly method: string; readonly target: string; readonly contentType: string | undefined },
): Ending {
  try {
    holdAgainstDocument({ ...asked, ...answer });
    return answer;
  } catch (error) {
    return { kind: 'wrong', what: reasonOf(error) };
  }
}

async function send(
  outgoing: ReturnType<typeof request>,
  body: readonly (string | Buffer)[],
  pauseMs: number,
): Promise<void> {
  for (const piece of body) {
    if (pauseMs > 0) await delay(pauseMs);
    if (outgoing.destroyed) return;
    outgoing.write(piece);
  }
  outgoing.end();
}
