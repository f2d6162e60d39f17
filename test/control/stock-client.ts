// Asks as the stock shell client does: curl with its options, the status in a last line, and the exit code that follows from both.
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface StockAnswer {
  readonly status: number;
  /** What it prints, on stdout for 200, on stderr otherwise. */
  readonly content: string;
  readonly exitCode: number;
}

/** Standard for every command but `objects get`, which passes bytes on and looks at no status. */
const OPTIONS = ['--no-progress-meter', '-s', '-w', '\n%{http_code}', '--connect-timeout', '5', '--max-time', '240'];

/** The texts are compared to the letter. */
const EXIT_CODES: Readonly<Record<string, number>> = {
  '{"Error":"Not enough disk space available"}': 48,
  '{"Error":"Object has bad checksum"}': 60,
  '{"Error":"State verification has failed"}': 70,
};

export interface StockClient {
  /** `args`: curl's, in the client's order; `path` follows them. `input`: of stdin. */
  send(args: readonly string[], path: string, input?: string): Promise<StockAnswer>;
  get(path: string): Promise<StockAnswer>;
  remove(path: string): Promise<StockAnswer>;
  /** A JSON body, as of signals, commands and actions. */
  json(method: 'PUT' | 'POST', path: string, body: string): Promise<StockAnswer>;
  /** A text as the body, which curl calls a form. */
  text(path: string, value: string): Promise<StockAnswer>;
  /** A file, or with `-` and `bytes` what comes on stdin. */
  putObject(source: string, sha256: string, bytes?: number, input?: string): Promise<StockAnswer>;
  getObject(sha256: string): Promise<Buffer>;
  putStep(file: string, name: string): Promise<StockAnswer>;
}

export function stockClient(socket: string): StockClient {
  const curl = async (args: readonly string[], input = ''): Promise<Buffer> => {
    const child = spawn('curl', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    // It may end before it has read all.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const words = text(child.stderr);
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk);
    const output = Buffer.concat(chunks);
    if (output.length === 0) throw new Error(`curl ${args.join(' ')}: ${await words}`);
    return output;
  };
  const target = (path: string): string[] => ['--unix-socket', socket, `http://localhost${path}`];
  const send: StockClient['send'] = async (args, path, input) => {
    const output = (await curl([...OPTIONS, ...args, ...target(path)], input)).toString();
    const cut = output.lastIndexOf('\n');
    const status = Number(output.slice(cut + 1));
    const content = output.slice(0, cut);
    return { status, content, exitCode: exitCodeOf(status, content) };
  };
  const JSON_TYPE = ['--header', 'Content-Type: application/json'];
  return {
    send,
    get: (path) => send(['-X', 'GET'], path),
    remove: (path) => send(['-X', 'DELETE'], path),
    json: (method, path, body) => send(['-X', method, ...JSON_TYPE, '--data', body], path),
    text: (path, value) => send(['-X', 'PUT', '--data', value], path),
    putObject(source, sha256, bytes, input) {
      const size = bytes === undefined ? [] : ['-H', `Content-Length:${bytes}`];
      const headers = ['-H', 'Content-Type: application/octet-stream', '-H', 'Transfer-Encoding: identity'];
      const args = ['--max-time', '14400', '-X', 'PUT', ...size, ...headers, '-T', source];
      return send(args, `/objects/${sha256}`, input);
    },
    getObject: (sha256) => curl([...OPTIONS.slice(4), '-X', 'GET', ...target(`/objects/${sha256}`)]),
    putStep: (file, name) => send(['-X', 'PUT', '--upload-file', file], `/steps/${name}`),
  };
}

function exitCodeOf(status: number, content: string): number {
  if (status === 200) return 0;
  return status === 503 ? 75 : (EXIT_CODES[content] ?? 255);
}
