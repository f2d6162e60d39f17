import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { changesInside, changesOutside, type Inside, isPair } from '../../services/net-svc/interface-plan.ts';
import { createUndo, NetFailure, undoingOnFailure } from '../../services/net-svc/net-failure.ts';
import type { Link } from '../../services/net-svc/rtnetlink-link.ts';
import { internal, lab, leaseOf } from './kernel.ts';

const plain: Link = {
  index: 1,
  name: 'lo',
  up: true,
  mac: '00:00:00:00:00:00',
  kind: '',
  alias: '',
  master: 0,
  peer: 0,
  group: 0,
  peerElsewhere: false,
  running: true,
  peerNamespace: undefined,
  makesIpv6Address: false,
  acceptsRouters: false,
  learnsFromBridgeFrames: false,
};
const eth0: Link = {
  ...plain,
  index: 2,
  name: 'eth0',
  mac: '02:00:0a:00:05:02',
  kind: 'veth',
  peer: 7,
  peerElsewhere: true,
};
const lab0: Link = { ...eth0, index: 3, name: 'lab0', mac: '02:00:0a:00:06:02', peer: 8 };
const leases = [leaseOf(internal, 'c', 2), leaseOf(lab, 'c', 2, 'lab0')];
const right: Inside = {
  links: [plain, eth0, lab0],
  addresses: [
    { linkIndex: 1, address: '127.0.0.1', prefixLength: 8 },
    { linkIndex: 2, address: '10.0.5.2', prefixLength: 24 },
    { linkIndex: 3, address: '10.0.6.2', prefixLength: 24 },
  ],
  routes: [{ linkIndex: 2, gateway: '10.0.5.1' }],
};
const steps = (inside: Partial<Inside>): string[] =>
  changesInside('c', leases, { ...right, ...inside }).map(({ step }) => step);

describe('changesInside', () => {
  it('is empty when everything is as the leases ask', () => {
    assert.deepEqual(steps({}), []);
  });

  it('does all of it, in an order that the kernel takes, for new interfaces', () => {
    const links = right.links.map((link) => ({ ...link, up: false }));
    assert.deepEqual(steps({ links, addresses: [], routes: [] }), [
      'bring up lo of c',
      'add address 10.0.5.2/24 of eth0 of c',
      'have eth0 of c announced',
      'bring up eth0 of c',
      'add default route through 10.0.5.1 to c',
      'add address 10.0.6.2/24 of lab0 of c',
      'have lab0 of c announced',
      'bring up lab0 of c',
    ]);
  });

  it('announces what came up before it had its address', () => {
    const links = right.links.map((link) => ({ ...link, isUnannounced: link.name === 'eth0' }));
    assert.deepEqual(steps({ links, addresses: right.addresses.slice(2) }), [
      'add address 10.0.5.2/24 of eth0 of c',
      'have eth0 of c announced',
      'announce eth0 of c',
      'add default route through 10.0.5.1 to c',
    ]);
  });

  it('adds only the route when only the route is missing or another', () => {
    const route = ['add default route through 10.0.5.1 to c'];
    assert.deepEqual(steps({ routes: [] }), route);
    assert.deepEqual(steps({ routes: [{ linkIndex: 2, gateway: '10.0.5.9' }] }), route);
    assert.deepEqual(steps({ routes: [{ linkIndex: 3, gateway: '10.0.5.1' }] }), route);
  });

  it('leaves a container that runs its own default route, also by another link while its interface is made right', () => {
    const enough = (inside: Partial<Inside>, before = leases): string[] =>
      changesInside('c', leases, { ...right, ...inside }, { strictness: 'enough', before }).map(({ step }) => step);
    const own = [{ linkIndex: 9, gateway: '' }];
    assert.deepEqual(enough({ routes: own }), []);
    assert.deepEqual(enough({ routes: own, addresses: right.addresses.slice(2) }), [
      'add address 10.0.5.2/24 of eth0 of c',
    ]);
    const former = leases.map((lease) => ({ ...lease, gateway: '10.0.5.9' }));
    const route = ['add default route through 10.0.5.1 to c'];
    assert.deepEqual(enough({ routes: [{ linkIndex: 2, gateway: '10.0.5.9' }] }, former), route);
    assert.deepEqual(enough({ routes: [{ linkIndex: 2, gateway: '10.0.5.9' }] }), []);
  });

  it('removes what is foreign from the last to the first: the first of a subnet takes the others along', () => {
    const foreign = [98, 99].map((host) => ({ linkIndex: 2, address: `10.9.9.${host}`, prefixLength: 24 }));
    assert.deepEqual(steps({ addresses: [...right.addresses, ...foreign] }).slice(0, 2), [
      'remove address 10.9.9.99/24 of eth0 of c',
      'remove address 10.9.9.98/24 of eth0 of c',
    ]);
  });

  it('removes a foreign address first, sets the own one again since it may go along, and the route too', () => {
    const addresses = [...right.addresses, { linkIndex: 2, address: '10.0.5.99', prefixLength: 24 }];
    assert.deepEqual(steps({ addresses }), [
      'remove address 10.0.5.99/24 of eth0 of c',
      'add address 10.0.5.2/24 of eth0 of c',
      'add default route through 10.0.5.1 to c',
    ]);
  });

  it('sets a MAC that differs', () => {
    const links = [plain, eth0, { ...lab0, mac: '02:00:00:00:00:99' }];
    assert.deepEqual(steps({ links }), ['set MAC 02:00:0a:00:06:02 on lab0 of c']);
  });
});

describe('changesOutside', () => {
  const bridge: Link = { ...plain, index: 5, name: 'pvbr0', kind: 'bridge' };
  const host: Link = { ...eth0, index: 7, name: 'vethx', alias: 'berth:c/eth0', master: 5, peer: 2 };

  it('is empty for a marked port that is up, and names what else is missing', () => {
    assert.deepEqual(changesOutside(host, bridge, 'berth:c/eth0'), []);
    const bare = { ...host, alias: '', master: 0, up: false };
    assert.deepEqual(
      changesOutside(bare, bridge, 'berth:c/eth0').map(({ step }) => step),
      ['mark vethx', 'put into pvbr0: vethx', 'bring up vethx'],
    );
  });

  it('belongs to a pair only when both ends say so', () => {
    assert.ok(isPair(host, eth0));
    assert.ok(!isPair(host, lab0));
    assert.ok(!isPair({ ...host, peer: 3 }, eth0));
    assert.ok(!isPair(host, { ...eth0, peerElsewhere: false }));
    assert.ok(!isPair(undefined, eth0));
  });
});

describe('undo', () => {
  it('runs in reverse, goes on past a failure and answers it', () => {
    const order: string[] = [];
    const undo = createUndo();
    undo.add('first', () => order.push('first'));
    undo.add('second', () => {
      throw new NetFailure('second', 'busy');
    });
    undo.add('third', () => order.push('third'));
    assert.deepEqual(
      undo.run().map(({ step }) => step),
      ['second'],
    );
    assert.deepEqual(order, ['third', 'first']);
  });

  it('that fails is named behind the reason of the failure', () => {
    const act = (): void =>
      undoingOnFailure((undo) => {
        undo.add('take it back', () => {
          throw new NetFailure('take it back', 'busy');
        });
        throw new NetFailure('do it', 'no');
      });
    assert.throws(act, { step: 'do it', reason: 'no; not undone: take it back: busy' });
  });

  it('does not run after a success', () => {
    assert.equal(
      undoingOnFailure((undo) => {
        undo.add('never', () => assert.fail());
        return 1;
      }),
      1,
    );
  });
});
