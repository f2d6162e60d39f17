// pvcontrol watch: draws what is so, whenever that changes, and says why it ends.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type Rig, startRig } from '../ctl-svc/rig.ts';
import { containerRow } from '../ctl-svc/rows.ts';
import { bundleProgram, type Program } from './program.ts';

const CHANGE = 'event: container\ndata: {"name":"web"}\n\n';
const ENDED = { exitCode: 255, stderr: 'pvcontrol: the device ended the stream of events\n' };

let program: Program;
before(async () => {
  program = await bundleProgram();
});
after(() => program.remove());

describe('pvcontrol watch', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['waits']);
  });
  after(() => rig.stop());

  it('says that it has no rights, and shows nothing', async () => {
    for (const [args, stderr] of [
      [['watch'], '{"Error":"Request not sent from a mgmt platform"}\n'],
      [['--table', 'watch'], 'pvcontrol: Request not sent from a mgmt platform\n'],
    ] as const) {
      const ended = await program.run('-s', rig.socketOf('waits'), ...args);
      assert.deepEqual(ended, { exitCode: 255, stdout: '', stderr });
    }
  });
});

describe('pvcontrol watch of a server', () => {
  let server: Server;
  let path: string;
  let onList: (response: ServerResponse) => void;
  let events: ServerResponse;
  beforeEach(async () => {
    path = join(program.folder, 'device');
    const listener: RequestListener = ({ url }, response) => {
      if (url !== '/events') {
        onList(response);
        return;
      }
      events = response;
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('id: 1\n\n');
    };
    server = createServer(listener).listen(path);
    await once(server, 'listening');
  });
  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });
  const rows = (status: 'STARTED' | 'STOPPED'): string => JSON.stringify([containerRow('web', { status })]);
  const watch = (...args: string[]) => program.run('-s', path, ...args, 'watch');
  /** What it has drawn, one after the other. */
  const pictures = (stdout: string): readonly string[] =>
    stdout
      .split('\u001b[H\u001b[J')
      .slice(1)
      .map((picture) => /STARTED|STOPPED/.exec(picture.split('\n')[1] ?? '')?.[0] ?? picture);

  it('draws what changes while it draws', async () => {
    let lists = 0;
    onList = (response) => {
      lists += 1;
      if (lists === 1) events.write(CHANGE);
      if (lists === 2) events.end();
      response.end(rows(lists === 1 ? 'STARTED' : 'STOPPED'));
    };
    const { stdout, ...ended } = await watch('--table');
    assert.deepEqual([pictures(stdout), ended], [['STARTED', 'STOPPED'], ENDED]);
  });

  it('draws anew when something was missed, or another revision runs', async () => {
    let lists = 0;
    onList = (response) => {
      lists += 1;
      if (lists === 1) events.write('event: lost\ndata: {}\n\n');
      if (lists === 2) events.end('event: revision\ndata: {}\n\n');
      response.end(rows('STARTED'));
    };
    const { stdout, ...ended } = await watch('--table');
    assert.deepEqual([pictures(stdout).length, ended], [3, ENDED]);
  });

  it('draws once for what comes at once, and of what comes in parts', async () => {
    let lists = 0;
    onList = (response) => {
      lists += 1;
      if (lists === 1) events.write(`event: lease\n\n${CHANGE.repeat(20)}event: conta`);
      if (lists === 2) events.end('iner\ndata: {}\n\n');
      response.end(rows('STARTED'));
    };
    const { stdout, ...ended } = await watch('--table');
    assert.deepEqual([pictures(stdout).length, ended], [3, ENDED]);
  });

  it('ends with its reason when the stream ends, or breaks, while it draws', async () => {
    for (const end of [() => events.end(), () => events.destroy()]) {
      onList = (response) => {
        end();
        events.once('close', () => response.end(rows('STARTED')));
      };
      const { stdout, ...ended } = await watch('--table');
      assert.deepEqual([pictures(stdout), ended], [['STARTED'], ENDED]);
    }
  });

  it('ends with what refuses the list, and lets no text steer the terminal', async () => {
    const refusals: readonly (readonly [number, string, number, string])[] = [
      [503, '{"Error":"state-svc has not said yet"}', 75, 'state-svc has not said yet'],
      [500, '{"Error":"\\u001b[2Jgone"}', 255, '?[2Jgone'],
    ];
    for (const [status, body, exitCode, text] of refusals) {
      onList = (response) => response.writeHead(status).end(body);
      assert.deepEqual(await watch('--table'), { exitCode, stdout: '', stderr: `pvcontrol: ${text}\n` });
    }
    onList = (response) => {
      events.end();
      response.end('\u001b[2J');
    };
    assert.deepEqual(pictures((await watch('--table')).stdout), ['?[2J\n']);
  });

  it('gives a pipe the events, and why they end', async () => {
    onList = () => assert.fail('it asked for the list');
    const running = watch();
    const [, response] = await once(server, 'request');
    response.end(CHANGE);
    assert.deepEqual(await running, { ...ENDED, stdout: '{"name":"web"}\n' });
  });

  it('ends quietly when nobody reads any more what it prints', async () => {
    const running = program.runToHead('-s', path, 'watch');
    const [, response] = await once(server, 'request');
    // It learns that the reader is gone when it writes again.
    const telling = setInterval(() => response.write(CHANGE), 5);
    try {
      assert.deepEqual(await running, { exitCode: 0, stdout: '{"name":"web"}\n', stderr: '' });
    } finally {
      clearInterval(telling);
    }
  });
});
