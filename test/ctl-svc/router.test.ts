import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ENDPOINTS } from '../../services/ctl-svc/endpoints.ts';
import { createRouter } from '../../services/ctl-svc/router.ts';

const route = createRouter(ENDPOINTS);

describe('ctl.router', () => {
  it('finds every endpoint by its own method and path', () => {
    for (const endpoint of ENDPOINTS) {
      const found = route(endpoint.method, endpoint.path.replace('{name}', 'web'));
      assert.equal(found.kind === 'found' && found.endpoint, endpoint);
    }
  });

  it('gives back any name that was encoded into the path', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'binary' }), (name) => {
        const found = route('PUT', `/containers/${encodeURIComponent(name)}`);
        assert.equal(found.kind === 'found' && found.params.name, name);
      }),
    );
  });

  it('takes a % that encodes nothing for itself, as clients send it that encode nothing', () => {
    for (const [part, name] of [
      ['100%', '100%'],
      ['%zz%20a', '%zz a'],
      ['%2', '%2'],
      ['50%25', '50%'],
    ] as const) {
      const found = route('PUT', `/user-meta/${part}`);
      assert.equal(found.kind === 'found' && found.params.key, name);
    }
  });

  it('answers any target without throwing', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (method, target) => route(method, target).kind !== undefined));
    for (const target of ['', '*', 'http://', 'http://x', '/containers/%ff', '__proto__', '/constructor']) {
      assert.equal(route('GET', target).kind, 'unknownPath', target);
    }
  });
});
