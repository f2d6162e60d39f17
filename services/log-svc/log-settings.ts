// What the configuration says about logs, in the words of this service.
import type { Settings } from '../../shared/config/settings.ts';
import type { Level } from './log-flow.ts';
import type { LogSettings, OutputName } from './outputs.ts';
import { parseTimeFormat, type TimeFormat } from './time-format.ts';

const LEVELS = {
  fatal: 'FATAL',
  error: 'ERROR',
  warn: 'WARN',
  // Pantavisor's level for consoles, between warnings and the rest: no message of ours has it.
  wall: 'WARN',
  info: 'INFO',
  debug: 'DEBUG',
  trace: 'TRACE',
} as const satisfies Record<string, Level>;

/** `onProblem` is called for a value that means nothing; it is as if it had not been written. */
export function logSettings(settings: Settings, onProblem: (message: string) => void): LogSettings {
  const format = (
    key: 'PV_LOG_FILETREE_TIMESTAMP_FORMAT' | 'PV_LOG_SINGLEFILE_TIMESTAMP_FORMAT' | 'PV_LOG_STDOUT_TIMESTAMP_FORMAT',
  ): TimeFormat | undefined => {
    const text = settings.value(key);
    const parsed = parseTimeFormat(text);
    if (text !== '' && parsed === undefined) {
      onProblem(
        `${key} is '${text}'; it must be strftime:<format>, or golang: and one of Layout, RubyDate, ANSIC, RFC822Z, RFC1123Z`,
      );
    }
    return parsed;
  };
  return {
    outputs: settings.value('PV_LOG_SERVER_OUTPUTS').map(outputOf),
    level: LEVELS[settings.value('PV_LOG_LEVEL')],
    capture: settings.value('PV_LOG_CAPTURE'),
    retention: {
      maxSize: settings.value('PV_LOG_DIR_MAXSIZE'),
      factors: {
        hysteresis: settings.value('PV_LOG_HYSTERESIS_FACTOR'),
        rotate: settings.value('PV_LOG_ROTATE_FACTOR'),
        fileBytes: settings.value('PV_LOG_MAXSIZE'),
      },
    },
    formats: {
      filetree: format('PV_LOG_FILETREE_TIMESTAMP_FORMAT'),
      singlefile: format('PV_LOG_SINGLEFILE_TIMESTAMP_FORMAT'),
      stdout: format('PV_LOG_STDOUT_TIMESTAMP_FORMAT'),
    },
  };
}

/** Pantavisor's stdout_direct leaves its log server out; here there is one way, and that one never waits. */
function outputOf(name: OutputName | 'stdout_direct'): OutputName {
  return name === 'stdout_direct' ? 'stdout' : name;
}
