# Completion of fermata for bash; made by `fermata completion`.
_fermata()
{
	local word words typed="" current="${COMP_WORDS[COMP_CWORD]}"
	local before="${COMP_WORDS[COMP_CWORD-1]}"
	COMPREPLY=()
	case "$before" in
	--socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return ;;
	--to|--message|--until|--without|--max-downtime|--keep|--ttl|--url|--last|--after|--state|--lines|--dir|--days|--timeout) return ;;
	esac
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case "$typed" in ""|plan|help|maintenance|page|gate|config|cert) [[ $word == -* ]] || typed="${typed:+$typed }$word" ;;
		esac
		typed="${typed#plan }"
		typed="${typed#help }"
	done
	case "$typed" in
	"") words=" status plan startup stop restart upgrade maintenance page bypass approve reject pause resume retry abort rollback runs show attach doctor gate logs config cert completion help" ;;
	"status") words=" --watch" ;;
	"plan") words=" startup stop restart upgrade maintenance page rollback" ;;
	"startup") words=" --to --message --until --detach --without" ;;
	"stop") words=" --message --until --detach --without" ;;
	"restart") words=" --detach --without" ;;
	"upgrade") words=" --to --yes --no-backup --detach --max-downtime --message --until --without" ;;
	"maintenance") words=" begin end" ;;
	"maintenance begin") words=" --keep --page --message --until --detach --without" ;;
	"maintenance end") words=" --detach --without" ;;
	"page") words=" on off" ;;
	"page on") words=" --message --until --detach --without" ;;
	"page off") words=" --detach --without" ;;
	"bypass") words=" --ttl --url" ;;
	"approve") words="" ;;
	"reject") words="" ;;
	"pause") words="" ;;
	"resume") words=" --detach" ;;
	"retry") words=" --detach --without" ;;
	"abort") words=" --detach" ;;
	"rollback") words=" --yes --detach --without" ;;
	"runs") words=" --last" ;;
	"show") words="" ;;
	"attach") words=" --after" ;;
	"doctor") words="" ;;
	"gate") words=" close open resume status" ;;
	"gate close") words=" --local --force --state" ;;
	"gate open") words=" --local --force --state" ;;
	"gate resume") words=" --local --state" ;;
	"gate status") words=" --local --state" ;;
	"logs") words=" --follow --lines --after" ;;
	"config") words=" check show" ;;
	"config check") words="" ;;
	"config show") words="" ;;
	"cert") words=" init issue list" ;;
	"cert init") words=" --dir" ;;
	"cert issue") words=" --days --dir" ;;
	"cert list") words=" --dir" ;;
	"completion") words="" ;;
	"help") words=" status plan startup stop restart upgrade maintenance page bypass approve reject pause resume retry abort rollback runs show attach doctor gate logs config cert completion help" ;;
	esac
	if [[ $typed == "config check" && $current != -* ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
	fi
	words+=" --socket --json --timeout --no-color --help --version"
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _fermata fermata
