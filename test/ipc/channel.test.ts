// What a caller may rely on, over the real broker and codec: answers, declared errors, faults, deadlines, cancellation, events.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { MAX_IN_FLIGHT_PER_PAIR } from '../../shared/ipc/broker-calls.ts';
import { type Channel, fail, type Handlers, ok } from '../../shared/ipc/contract.ts';
import { Fault, type FaultCode } from '../../shared/ipc/fault.ts';
import { createMemoryBus, type MemoryBus } from '../../shared/ipc/memory-bus.ts';
import { echoContract } from './echo-contract.ts';

const plain: Handlers<typeof echoContract> = {
  echo: ({ text }) => (text.length > 5 ? fail({ code: 'TOO_LONG', length: text.length }) : ok({ text })),
  count: () => ok({ count: 1 }),
};

/** A promise and the function that resolves it. */
function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

const faultOf = (code: FaultCode) => (error: unknown) => error instanceof Fault && error.code === code;

describe('ipc.channel', () => {
  let bus: MemoryBus;
  const serve = (handlers: Partial<Handlers<typeof echoContract>> = {}): Channel => {
    const channel = bus.connect('ipam-svc');
    channel.serve(echoContract, { ...plain, ...handlers });
    channel.ready();
    return channel;
  };
  const client = () => bus.connect('state-svc').client(echoContract);

  beforeEach(() => {
    bus = createMemoryBus([echoContract]);
  });
  afterEach(() => bus.close());

  it('answers the result that the handler gave', async () => {
    serve();
    assert.deepEqual(await client().echo({ text: 'hello' }), { ok: true, value: { text: 'hello' } });
  });

  it('answers a declared error with its data', async () => {
    serve();
    assert.deepEqual(await client().echo({ text: 'too long' }), { ok: false, error: { code: 'TOO_LONG', length: 8 } });
  });

  it('tells the handler who asks, from the connection', async () => {
    let seen = '';
    serve({
      count: (_, { caller }) => {
        seen = caller;
        return ok({ count: 1 });
      },
    });
    await client().count({});
    assert.equal(seen, 'state-svc');
  });

  it('answers DENIED to a service that the contract does not list, before the receiver sees anything', async () => {
    let called = false;
    serve({
      echo: ({ text }) => {
        called = true;
        return ok({ text });
      },
    });
    const other = bus.connect('ctl-svc').client(echoContract);
    await assert.rejects(other.echo({ text: 'hello' }), faultOf('DENIED'));
    assert.equal(called, false);
  });

  it('answers BAD_PARAMS for params outside the schema, also for keys it does not know', async () => {
    serve();
    const untyped = client();
    // The compiler would refuse both; the wire must as well.
    const echo: (params: never) => Promise<unknown> = untyped.echo;
    await assert.rejects(echo({ text: 5 } as never), faultOf('BAD_PARAMS'));
    await assert.rejects(echo({ text: 'a', more: 1 } as never), faultOf('BAD_PARAMS'));
  });

  it('answers BAD_PARAMS without sending what does not fit a message', async () => {
    serve();
    await assert.rejects(client().echo({ text: 'x'.repeat(70_000) }), faultOf('BAD_PARAMS'));
  });

  it('answers BAD_RESULT when the handler breaks its own contract', async () => {
    serve({ echo: () => ({ ok: true, value: { text: 7 } }) as never });
    await assert.rejects(client().echo({ text: 'a' }), faultOf('BAD_RESULT'));
    serve({ echo: () => ({ ok: false, error: { code: 'UNHEARD_OF' } }) as never });
    await assert.rejects(client().echo({ text: 'a' }), faultOf('BAD_RESULT'));
  });

  it('answers INTERNAL when the handler throws or its answer is too large', async () => {
    serve({
      echo: () => {
        throw new Error('broken');
      },
      count: () => ({ ok: true, value: { count: 1, more: 'x'.repeat(70_000) } }) as never,
    });
    const asking = client();
    await assert.rejects(asking.echo({ text: 'a' }), faultOf('INTERNAL'));
    await assert.rejects(asking.count({}), faultOf('INTERNAL'));
  });

  it('answers TIMEOUT at the deadline and cancels the handler', async () => {
    const aborted = gate();
    serve({
      echo: async ({ text }, { signal }) => {
        signal.addEventListener('abort', aborted.open);
        await aborted.passed;
        return ok({ text });
      },
    });
    // Long enough for a busy machine to call the handler before it is over.
    await assert.rejects(client().echo({ text: 'a' }, { deadlineMs: 500 }), faultOf('TIMEOUT'));
    await aborted.passed;
  });

  it('answers CANCELLED when the caller gives up, and cancels the handler', async () => {
    const started = gate();
    const aborted = gate();
    serve({
      echo: async ({ text }, { signal }) => {
        signal.addEventListener('abort', aborted.open);
        started.open();
        await aborted.passed;
        return ok({ text });
      },
    });
    const abort = new AbortController();
    const call = client().echo({ text: 'a' }, { signal: abort.signal });
    const rejected = assert.rejects(call, faultOf('CANCELLED'));
    await started.passed;
    abort.abort();
    await rejected;
    await aborted.passed;
  });

  it('cancels the handler when the caller dies', async () => {
    const started = gate();
    const aborted = gate();
    serve({
      echo: async ({ text }, { signal }) => {
        signal.addEventListener('abort', aborted.open);
        started.open();
        await aborted.passed;
        return ok({ text });
      },
    });
    const call = assert.rejects(client().echo({ text: 'a' }), faultOf('PEER_GONE'));
    await started.passed;
    bus.kill('state-svc');
    await aborted.passed;
    await call;
  });

  it('keeps a request waiting until the receiver is ready', async () => {
    const asked = client().echo({ text: 'a' });
    const channel = bus.connect('ipam-svc');
    channel.serve(echoContract, plain);
    channel.ready();
    assert.deepEqual(await asked, { ok: true, value: { text: 'a' } });
  });

  it('repeats an idempotent request once over a restart of the receiver', async () => {
    const started = gate();
    serve({
      echo: async () => {
        started.open();
        return await new Promise(() => undefined);
      },
    });
    const asked = client().echo({ text: 'a' });
    await started.passed;
    bus.kill('ipam-svc');
    serve();
    assert.deepEqual(await asked, { ok: true, value: { text: 'a' } });
  });

  it('answers PEER_GONE for a request that must not run twice', async () => {
    const started = gate();
    serve({
      count: async () => {
        started.open();
        return await new Promise(() => undefined);
      },
    });
    const asked = assert.rejects(client().count({}), faultOf('PEER_GONE'));
    await started.passed;
    bus.kill('ipam-svc');
    await asked;
  });

  it('answers OVERLOADED above the quota of a pair, and works again when there is room', async () => {
    const free = gate();
    serve({
      echo: async ({ text }) => {
        await free.passed;
        return ok({ text });
      },
    });
    const asking = client();
    const calls = Array.from({ length: MAX_IN_FLIGHT_PER_PAIR + 10 }, () =>
      asking.echo({ text: 'a' }).then(
        () => 'ok',
        (error: unknown) => (faultOf('OVERLOADED')(error) ? 'overloaded' : 'other'),
      ),
    );
    await asking.count({}).catch(() => undefined);
    free.open();
    const ended = await Promise.all(calls);
    assert.equal(ended.filter((end) => end === 'ok').length, MAX_IN_FLIGHT_PER_PAIR);
    assert.equal(ended.filter((end) => end === 'overloaded').length, 10);
    assert.equal((await asking.echo({ text: 'a' })).ok, true);
    assert.equal(bus.broker.queueDepth('ipam-svc'), 0);
  });

  it('tells events to the subscribers of the contract, in order', async () => {
    const publisher = serve();
    const subscriber = bus.connect('state-svc');
    const got: string[] = [];
    const third = gate();
    subscriber.subscribe(echoContract, 'echoed', {
      onEvent: ({ text }) => {
        got.push(text);
        if (got.length === 3) third.open();
      },
      onLost: () => undefined,
    });
    // An answer to the subscriber proves that the broker knows it: events are for live subscribers only.
    await subscriber.client(echoContract).echo({ text: 'a' });
    for (const text of ['one', 'two', 'three']) publisher.publish(echoContract, 'echoed', { text });
    await third.passed;
    assert.deepEqual(got, ['one', 'two', 'three']);
  });

  it('drops an event that its publisher does not own', async () => {
    serve();
    const subscriber = bus.connect('state-svc');
    let got = 0;
    subscriber.subscribe(echoContract, 'echoed', { onEvent: () => (got += 1), onLost: () => undefined });
    bus.connect('ctl-svc').publish(echoContract, 'echoed', { text: 'forged' });
    await subscriber.client(echoContract).echo({ text: 'a' });
    assert.equal(got, 0);
  });
});
