// The table of all commands, in the order in which the help tells them.
import { completionCommands } from './completion.ts';
import { CONTAINER_COMMANDS } from './container-commands.ts';
import type { Command } from './context.ts';
import { COMMAND_COMMANDS, DEVICE_COMMANDS, METADATA_COMMANDS } from './device-commands.ts';
import { LOGS_COMMANDS } from './logs-command.ts';
import { PART_COMMANDS } from './part-commands.ts';
import { PROGRESS_COMMANDS } from './progress-command.ts';
import { SHELL_COMMANDS } from './shell-command.ts';
import { SHOW_COMMANDS } from './show-command.ts';
import { STEP_COMMANDS } from './step-commands.ts';
import { VIEW_COMMANDS } from './view-commands.ts';
import { WATCH_COMMANDS } from './watch-command.ts';

export const COMMANDS: readonly Command[] = [
  ...VIEW_COMMANDS,
  ...SHOW_COMMANDS,
  ...WATCH_COMMANDS,
  ...LOGS_COMMANDS,
  ...SHELL_COMMANDS,
  ...CONTAINER_COMMANDS,
  ...STEP_COMMANDS,
  ...PART_COMMANDS,
  ...COMMAND_COMMANDS,
  ...DEVICE_COMMANDS,
  ...PROGRESS_COMMANDS,
  ...METADATA_COMMANDS,
  ...completionCommands(() => COMMANDS),
];
