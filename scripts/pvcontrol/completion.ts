// `completion bash`: a script for the shell, from the table of commands; and the names that it asks for while somebody types.
import process from 'node:process';
import type { Completes } from './command-line.ts';
import { type Command, namesOf } from './context.ts';
import { EXIT } from './failure.ts';

const LISTS: Readonly<Record<Exclude<Completes, 'files'>, string>> = {
  containers: '/containers',
  services: '/daemons',
  steps: '/steps',
};

function script(commands: readonly Command[]): string {
  const told = commands.filter(({ help }) => help !== '');
  const cases = told.map(({ words, args }) => `    '${words} ') kind='${args[0]?.completes ?? ''}' ;;`);
  const families = new Map<string, string[]>();
  for (const { words } of told) {
    const [first = '', second] = words.split(' ');
    families.set(first, [...(families.get(first) ?? []), ...(second === undefined ? [] : [second])]);
  }
  const subcommands = [...families].map(([first, seconds]) => `    ${first}) words='${seconds.join(' ')}' ;;`);
  return `# bash completion of pvcontrol; put it where your system keeps such, or: source <(pvcontrol completion bash)
_pvcontrol() {
  local word=\${COMP_WORDS[COMP_CWORD]} words='' kind='' said=() socket=() index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
    -s | --socket) socket=(-s "\${COMP_WORDS[index + 1]}"); ((index++)) ;;
    -m | --message | --output) ((index++)) ;;
    -f) ((\${#said[@]})) || ((index++)) ;;
    -*) ;;
    *) said+=("\${COMP_WORDS[index]}") ;;
    esac
  done
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W '-s --socket -m --message -v --verbose --output --json --table -f --follow -h --help' -- "$word"))
    return
  fi
  case \${#said[@]} in
  0) words='${[...families.keys()].join(' ')}' ;;
  1)
    case \${said[0]} in
${subcommands.join('\n')}
    esac
    ;;
  esac
  case "\${said[*]} " in
${cases.join('\n')}
  esac
  case $kind in
  files) COMPREPLY=($(compgen -f -- "$word")) ;;
  ?*) words=$(pvcontrol "\${socket[@]}" completion names "$kind" 2>/dev/null) ;;&
  *) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
  esac
}
complete -F _pvcontrol pvcontrol
`;
}

/** `commands`: the table that these are part of. */
export function completionCommands(commands: () => readonly Command[]): readonly Command[] {
  return [
    {
      section: 'The device',
      words: 'completion bash',
      args: [],
      help: 'a script that lets bash complete all this',
      needsSocket: false,
      async perform() {
        process.stdout.write(script(commands()));
        return EXIT.ok;
      },
    },
    {
      section: 'The device',
      words: 'completion names',
      args: [{ name: 'KIND', what: 'the KIND of names' }],
      help: '',
      async perform({ socket }, [kind = '']) {
        const path = Object.entries(LISTS).find(([name]) => name === kind)?.[1];
        if (path !== undefined) process.stdout.write((await namesOf(socket, path)).map((name) => `${name}\n`).join(''));
        return EXIT.ok;
      },
    },
  ];
}
