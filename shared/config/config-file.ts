// pantavisor.config and the environment as sources of configuration: `KEY=value` a line, and variables named like keys.
import { createSettings, findKey, type SettingProblem, type Written } from './settings.ts';
import { parseSysctlName, type WrittenSysctl } from './sysctls.ts';

export interface ReadSource {
  readonly written: readonly Written[];
  readonly problems: readonly SettingProblem[];
  /** What is worth a line of the log, and no fault: a file of Pantavisor's may have keys of any of its releases. */
  readonly notes: readonly string[];
  readonly sysctls: readonly WrittenSysctl[];
}

/** The names of Pantavisor's keys, in any case as it takes them, also of those that nobody here has heard of. */
const LOOKS_LIKE_PANTAVISOR = /^p[vh]_|\./i;

/**
 * `#` starts a comment line; blanks around the key and the value say nothing, nor do quotes around the value. What cannot be used is told
 * with its line, and as if nobody had written it.
 */
export function readConfigText(text: string, path: string): ReadSource {
  const written: Written[] = [];
  const problems: SettingProblem[] = [];
  const notes: string[] = [];
  const sysctls: WrittenSysctl[] = [];
  const origin = 'pv conf file';
  for (const [index, line] of text.split('\n').entries()) {
    const content = line.trim();
    if (content === '' || content.startsWith('#')) continue;
    const equals = content.indexOf('=');
    const name = (equals === -1 ? content : content.slice(0, equals)).trim();
    const place = `${path}:${index + 1}`;
    if (equals === -1) {
      problems.push({ key: place, origin, message: `${place}: '${name.slice(0, 64)}' has no '='; write KEY=value` });
      continue;
    }
    const value = unquoted(content.slice(equals + 1).trim());
    const key = findKey(name);
    if (key === undefined && parseSysctlName(name) !== undefined) {
      sysctls.push({ name, value });
      continue;
    }
    if (key === undefined) {
      const message = `${place}: there is no key '${name.slice(0, 64)}'; it is ignored`;
      if (LOOKS_LIKE_PANTAVISOR.test(name)) notes.push(message);
      else problems.push({ key: place, origin, message });
      continue;
    }
    const one: Written = { key, value, origin };
    const [problem] = createSettings([one]).problems;
    if (problem === undefined) written.push(one);
    else problems.push({ ...problem, message: `${place}: ${problem.message}` });
  }
  return { written, problems, notes, sysctls };
}

function unquoted(value: string): string {
  return /^"[^"]*"$/.test(value) || /^'[^']*'$/.test(value) ? value.slice(1, -1) : value;
}

/** Variables with the names of keys; any other is somebody else's. One that cannot be used is told as one of the environment. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): ReadSource {
  const named = Object.entries(env).flatMap(([name, value]): Written[] => {
    // Dotted names are none of variables; and nothing but a key looks like one.
    const key = /^(?:PV|PH|BERTH)_/.test(name) ? findKey(name) : undefined;
    return key === undefined || value === undefined ? [] : [{ key, value, origin: 'env' }];
  });
  const { problems } = createSettings(named);
  return {
    written: named.filter((one) => createSettings([one]).problems.length === 0),
    problems: problems.map((problem) => ({ ...problem, message: `the environment: ${problem.message}` })),
    notes: [],
    sysctls: Object.entries(env).flatMap(([name, value]) =>
      name.startsWith('PV_') && value !== undefined && parseSysctlName(name) !== undefined ? [{ name, value }] : [],
    ),
  };
}
