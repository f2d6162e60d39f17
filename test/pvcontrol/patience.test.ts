// How long pvcontrol waits for an answer: longer than Berth may take for it.
import assert from 'node:assert/strict';
import { ClientRequest } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { COMMANDS } from '../../scripts/pvcontrol/commands.ts';
import { stateContract } from '../../services/state-svc/contract.ts';
import { type Rig, startRig } from '../ctl-svc/rig.ts';

describe('the patience of pvcontrol', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig();
  });
  after(() => rig.stop());

  const { runCommand, collectGarbage, setDrivers } = stateContract.requests;
  for (const [words, { deadlineMs }] of [
    ['cmd run-gc', runCommand],
    ['storage gc', collectGarbage],
    ['drivers load', setDrivers],
    ['drivers unload', setDrivers],
  ] as const) {
    it(`lasts longer than ${words} may take`, async (t) => {
      const wait = t.mock.method(ClientRequest.prototype, 'setTimeout');
      const command = COMMANDS.find((each) => each.words === words);
      assert.equal(
        await command?.perform({ socket: rig.host, format: 'json', follow: false, message: undefined }, []),
        0,
      );
      const [call] = wait.mock.calls;
      assert.ok(Number(call?.arguments[0]) > deadlineMs);
    });
  }
});
