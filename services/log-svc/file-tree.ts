// Output: files by revision and source.
//
// <storage>/logs/<rev>/pantavisor/pantavisor.log      messages of our own services, one a line
// <storage>/logs/<rev>/<container>/syslog/<src>       messages that the container sent to its sockets, one a line
// <storage>/logs/<rev>/<container>/lxc/console.log    what the container wrote on its console, as it is
// <storage>/logs/<rev>/<container>/lxc/lxc.log        what LXC says about the container, as it is
// <storage>/logs/<rev>/<container>/var/log/messages   a file of the container, as it is
import { containerFile } from './container-file.ts';
import { OWN_MESSAGES } from './line-files.ts';
import type { LogMessage, LogSink } from './log-flow.ts';
import type { LogFolder } from './log-folder.ts';
import { messageFiles, messageFolder } from './message-files.ts';
import { messageLine } from './message-line.ts';
import type { TimeFormat } from './time-format.ts';

/** `format`: how a line of a message begins; the files of containers stay as they are. */
export function createFileTree(folder: LogFolder, format?: TimeFormat): LogSink {
  const write = (file: string, messages: readonly LogMessage[]): void =>
    folder.append(file, Buffer.from(messages.map((message) => messageLine(message, format)).join('')));
  return {
    messages(batch) {
      for (const [container, ofOne] of byContainer(batch)) {
        if (container === undefined) write(OWN_MESSAGES, ofOne);
        else {
          const files = messageFiles(container, ofOne, folder.names(messageFolder(container)));
          for (const [file, ofFile] of files) write(file, ofFile);
        }
      }
    },
    bytes(log, bytes) {
      folder.carry(containerFile(log), bytes);
    },
  };
}

/** Those of our services are under undefined. */
function byContainer(batch: readonly LogMessage[]): Map<string | undefined, LogMessage[]> {
  const groups = new Map<string | undefined, LogMessage[]>();
  for (const message of batch) {
    const { kind, name } = message.origin;
    const container = kind === 'container' ? name : undefined;
    const group = groups.get(container);
    if (group === undefined) groups.set(container, [message]);
    else group.push(message);
  }
  return groups;
}
