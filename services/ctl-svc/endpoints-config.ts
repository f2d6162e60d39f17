// The endpoints of the configuration, as data, and what they do.
import * as z from 'zod/mini';
import { createSettings, findKey, type Settings, type Written } from '../../shared/config/settings.ts';
import { type Endpoint, endpoint, type Handler, type Sources } from './endpoint.ts';
import { json } from './reply.ts';

const shown = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** By the older, dotted names; a key that has none is not among them. */
const showAliases: Handler<undefined> = async (request, sources) => {
  const settings = await presentSettings(sources, request.signal());
  const rows = settings.rows().flatMap(({ alias, shown: value }) => (alias === undefined ? [] : [[alias, value]]));
  return json(Object.fromEntries(rows));
};

const showOrigins: Handler<undefined> = async (request, sources) => {
  const settings = await presentSettings(sources, request.signal());
  return json(
    settings
      .rows()
      .map(({ key, text, origin }) => ({ key, value: textOf(settings.value(key), text), modified: origin })),
  );
};

/** As it was started with, and over it what user-meta says. */
async function presentSettings({ settings, peers }: Sources, signal: AbortSignal): Promise<Settings> {
  const answer = await peers.state.listOverrides({}, { signal });
  const overrides = answer.ok ? answer.value.overrides : [];
  const written = overrides.flatMap(({ key: name, value }): Written[] => {
    const key = findKey(name);
    return key === undefined ? [] : [{ key, value, origin: 'user meta' }];
  });
  return createSettings([...settings, ...written]).settings;
}

/** Pantavisor's clients get a text for every key: the one for what is not set is printf(3)'s. */
const UNSET = '(null)';

/** Words are shown as words, not as the numbers that stand for them. `written`: as somebody wrote it. */
function textOf(value: unknown, written: string): string {
  if (written === '') return UNSET;
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'object' ? written : String(value);
}

export const CONFIG_ENDPOINTS: readonly Endpoint[] = [
  endpoint(
    {
      method: 'GET',
      path: '/config',
      answer: z.record(z.string(), shown),
      summary: 'the configuration that holds, by dotted names',
    },
    showAliases,
  ),
  endpoint(
    {
      method: 'GET',
      path: '/config2',
      answer: z.array(z.strictObject({ key: z.string(), value: z.string(), modified: z.string() })),
      summary: 'the same by key, as texts, with who said so',
    },
    showOrigins,
  ),
];
