// The simulated outside world's only host: an HTTP server that tells everyone which source address it saw.
import { createServer } from 'node:http';
import process from 'node:process';

const [address = '0.0.0.0', port = '8000'] = process.argv.slice(2);

const server = createServer((request, response) => {
  const seen = request.socket.remoteAddress ?? 'unknown';
  process.stdout.write(`request from ${seen}\n`);
  response.setHeader('content-type', 'text/plain');
  response.end(`you are ${seen}\n`);
});
server.listen(Number(port), address, () => process.stdout.write('listening\n'));
