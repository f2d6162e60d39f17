import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildName } from '../../shared/config/build-name.ts';

describe('buildName', () => {
  it('is that of the folder which the installer made', () => {
    assert.equal(buildName('/usr/lib/berth/0.1.0-0123456789ab', '0.1.0'), '0.1.0-0123456789ab');
  });

  it('is none where nobody installed it, or the folder is of another version', () => {
    for (const folder of ['/home/me/berth/dist', '/run/berth/program', '/usr/lib/berth/0.1.1-0123456789ab', ''])
      assert.equal(buildName(folder, '0.1.0'), undefined, folder);
  });
});
