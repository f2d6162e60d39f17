// The configuration as the supervisor hands it to a service at its start.
import type { Launch } from '../service/launch.ts';
import { createSettings, findKey, type Settings, type Written } from './settings.ts';

/** What is not as the defaults have it. A key that this build does not know is nobody's: supervisor and services are of one build. */
export function writtenOf({ settings = [] }: Pick<Launch, 'settings'>): readonly Written[] {
  return settings.flatMap(({ key: name, value, origin }) => {
    const key = findKey(name);
    return key === undefined ? [] : [{ key, value, origin }];
  });
}

export function settingsOf(launch: Pick<Launch, 'settings'>): Settings {
  return createSettings(writtenOf(launch)).settings;
}
