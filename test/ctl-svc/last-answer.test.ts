// When a connection ends with an answer: Pantavisor's pvtx reads until it does, while other clients ask again on the same one.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { parseAnswer, type Rig, sendRaw, startRig } from './rig.ts';

const OBJECT = 'of pvtx';
const SHA = createHash('sha256').update(OBJECT).digest('hex');
/** As pvtx writes them; it has an empty line too many behind what has no body. */
const GET = 'GET /steps/current/progress HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n';
const PUT = `PUT /objects/${SHA} HTTP/1.1\r\nHost: localhost\r\nContent-type: application/octet-stream\r\nContent-length: ${OBJECT.length}\r\n\r\n${OBJECT}`;
const FAREWELL = /^connection: close\r$/im;

describe('ctl.the last answer of a connection', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig(['web']);
  });
  after(() => rig.stop());

  for (const from of ['the host', 'a container']) {
    const socket = (): string => (from === 'the host' ? rig.host : rig.socketOf('web'));

    it(`is the first one to who neither names itself nor asks to stay: ${from}`, async () => {
      for (const request of [GET, PUT]) {
        const text = await sendRaw(socket(), request);
        assert.equal(parseAnswer(text).status, 200);
        assert.match(text, FAREWELL, request);
      }
    });

    it(`comes after all that were asked for at once: ${from}`, async () => {
      const text = await sendRaw(socket(), `${GET}${PUT}${GET}`);
      const [, ...answers] = text.split('HTTP/1.1 ');
      assert.deepEqual(
        answers.map((answer) => [answer.slice(0, 3), FAREWELL.test(answer)]),
        [
          ['200', false],
          ['200', false],
          ['200', true],
        ],
      );
    });

    it(`is the one that is asked for by who names itself, or asks to stay: ${from}`, async () => {
      for (const header of ['User-Agent: curl/7.88.1', 'Connection: keep-alive']) {
        const stays = `GET /groups HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`;
        const client = connect(socket(), () => client.write(stays));
        const [answer] = await once(client.setEncoding('utf8'), 'data');
        client.destroy();
        assert.match(answer, /^HTTP\/1\.1 200/);
        assert.doesNotMatch(answer, FAREWELL, header);
      }
    });
  }
});
