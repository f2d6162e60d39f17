// How tests of state-svc send objects and states, as ctl-svc does: a file is opened, filled, and said to be done.
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Device, sha256, uploadId } from './device.ts';
import { APP, useDevices } from './kit.ts';

/** Makes a device whose container `web` has been asked to start, for the test that runs; the end of the test closes it. */
export function useBootedDevices(): () => Promise<Device> {
  const make = useDevices();
  return async () => {
    const device = await make({ web: APP }, {});
    await device.boot();
    return device;
  };
}

type Wanted = { sha256?: string; bytes?: number };

export async function begin({ state }: Device, wanted: Wanted): Promise<{ id: string; path: string }> {
  const id = uploadId();
  const began = await state.beginUpload({ id, ...wanted });
  assert.ok(began.ok && began.value.kind === 'upload', JSON.stringify(began));
  return { id, path: began.value.path };
}

export async function putObject(it: Device, text: string) {
  const { id, path } = await begin(it, { sha256: sha256(text), bytes: text.length });
  writeFileSync(path, text);
  return it.state.finishUpload({ id });
}

export async function putState(it: Device, name: string, text: string) {
  const { id, path } = await begin(it, {});
  writeFileSync(path, text);
  return it.state.putStep({ name, id });
}

export const incoming = ({ storage }: Device): readonly string[] => readdirSync(join(storage, 'objects/incoming'));

export async function codeOf(answer: Promise<{ readonly ok: boolean; readonly error?: { readonly code: string } }>) {
  const { ok, error } = await answer;
  return ok ? 'ok' : error?.code;
}
