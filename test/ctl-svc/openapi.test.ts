// GET /openapi.json: that it says what is there, and that what does not fit it is noticed.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import * as z from 'zod/mini';
import { ENDPOINTS } from '../../services/ctl-svc/endpoints.ts';
import { holdAgainstDocument, type LiveAnswer } from '../kit/declared.ts';
import { curl, type Rig, startRig } from './rig.ts';

const operation = z.object({
  summary: z.string().check(z.minLength(1)),
  parameters: z.array(z.object({ name: z.string(), in: z.literal('path'), required: z.literal(true) })),
  requestBody: z.optional(z.object({ content: z.record(z.string(), z.unknown()) })),
  responses: z.record(z.string(), z.object({ description: z.string() })),
});
const document = z.object({
  openapi: z.literal('3.1.0'),
  paths: z.record(z.string(), z.record(z.string(), operation)),
});

describe('ctl.openapi', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig();
  });
  after(() => rig.stop());

  it('describes every endpoint, its parameters, its body and its statuses', async () => {
    const { paths } = document.parse(JSON.parse((await curl(rig.host, '/openapi.json')).body));
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(described.sort(), ENDPOINTS.map(({ method, path }) => `${method} ${path}`).sort());
    const control = paths['/containers/{name}']?.put;
    assert.deepEqual(control?.parameters, [{ name: 'name', in: 'path', required: true }]);
    assert.deepEqual(Object.keys(control?.responses ?? {}), ['200', '400', '403', '404', '408', '413', '500', '503']);
    assert.match(JSON.stringify(control?.requestBody), /"enum":\["start","stop","restart"\]/);
    assert.equal(paths['/signal']?.post?.responses['403'], undefined);
  });

  it('is the document that tests hold answers against, which notices what it does not say', () => {
    const good: LiveAnswer = {
      method: 'GET',
      target: '/groups',
      status: 200,
      contentType: 'application/json',
      body: '[{"name":"a","status_goal":"READY","restart_policy":"system","status":"READY"}]',
    };
    holdAgainstDocument(good);
    const error = '{"Error":"text"}';
    holdAgainstDocument({ ...good, status: 503, body: error });
    holdAgainstDocument({ ...good, target: '/nope', status: 404, body: error });
    for (const wrong of [
      { body: '[{"name":"a"}]' },
      { body: good.body.replace('}', ',"x":1}') },
      { contentType: 'text/html' },
      { status: 201 },
      { status: 404, body: error },
      { status: 503, body: '{"Error": "text"}' },
      { status: 503, body: '{"Error":"text","more":1}' },
      { status: 503, body: '{"Error":""}' },
      { target: '/nope', status: 200 },
    ]) {
      assert.throws(() => holdAgainstDocument({ ...good, ...wrong }), JSON.stringify(wrong));
    }
  });
});
