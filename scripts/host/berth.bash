# bash completion of berth
_berth() {
  local word=${COMP_WORDS[COMP_CWORD]}
  case $COMP_CWORD:${COMP_WORDS[1]} in
  1:*) COMPREPLY=($(compgen -W 'run pack check help --version' -- "$word")) ;;
  *:run) COMPREPLY=($(compgen -W '--storage --rundir --mode --sandbox --config --set --pool-overlap --lease-hold --nat --help' -- "$word") $(compgen -f -- "$word")) ;;
  *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _berth berth
