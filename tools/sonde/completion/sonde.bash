# bash completion for sonde(1)                             -*- shell-script -*-
# SPDX-License-Identifier: MIT
#
# Commands, their options, and targets: files, and what the installed connectors name. A test
# holds the lists here against the tool's own --help.

_sonde_commands='info cpus ps threads modules maps dmesg read dump convert serve write undo scan translate pages sym type disas trace targets plugins'
_sonde_common='--json --csv --no-header --color --engine --symbols --overlay --pause --snapshot --stats --verbose --help'

_sonde_options() {
	case $1 in
	ps) echo '--fields --pid --args' ;;
	threads) echo '--fields --pid --registers' ;;
	maps) echo '--fields --pid --all --phys' ;;
	read) echo '--fields --pid --kernel --phys --output --raw --hex' ;;
	dump | convert) echo '--fields --output --format --exclude --resume --threads' ;;
	serve) echo '--fields --9p --listen --export --tls-cert --tls-key --tls-ca --tls-psk --insecure --write' ;;
	write) echo '--fields --pid --kernel --phys --hex --file --string --write --no-verify --journal' ;;
	undo) echo '--fields --write --journal --force --list' ;;
	scan) echo '--fields --pid --kernel --phys --align --range --threads --max --utf16' ;;
	translate) echo '--fields --pid --reverse --table' ;;
	pages) echo '--fields --pid' ;;
	sym) echo '--fields --all --match' ;;
	disas) echo '--fields --pid --kernel --phys --count' ;;
	trace) echo '--fields --args --count --time --write' ;;
	info | cpus | modules | dmesg | type | targets | plugins) echo '--fields' ;;
	*) echo '--version' ;;
	esac
}

_sonde_fields() {
	case $1 in
	info) echo 'target connector detail arch live writable cpus regions memory requests fetched facts os release version
		command_line hostname found_by candidates types_from symbols online_cpus page_levels
		page_table kaslr_offset phys_base text_start text_end boot_time uptime no_os' ;;
	cpus) echo 'cpu arch pc sp page_table vectors registers error' ;;
	ps) echo 'pid tgid ppid uid gid euid egid state threads rss vsize start_ns start name command
		args exe kernel_thread addr parent_addr page_table missing error' ;;
	threads) echo 'pid tid ppid uid state start_ns start name kernel_thread addr pc sp registers missing error' ;;
	modules) echo 'name base size refs state addr path build_id sections error' ;;
	maps) echo 'pid range start end perms offset dev inode kind path error' ;;
	dmesg) echo 'seq time_ns time level facility caller text' ;;
	read) echo 'addr len data error' ;;
	dump | convert) echo 'file format size memory saved zeros excluded missing skipped sha256' ;;
	serve) echo 'target uri export size regions writable tls' ;;
	write | undo) echo 'space pid addr len result written error_addr error wanted got' ;;
	scan) echo 'pid addr index pattern' ;;
	translate) echo 'va pid pa page_size perms attrs levels entries entry_addrs kind swap_type
		swap_offset error' ;;
	pages) echo 'pid start end pa page_size perms attrs swap_type swap_offset name' ;;
	sym) echo 'addr type size offset module name' ;;
	type) echo 'type size member offset bit_offset bit_size source declaration' ;;
	disas) echo 'addr symbol bytes mnemonic operands target target_symbol' ;;
	trace) echo 'time_ns time cpu pid tid name function args call addr task error' ;;
	targets) echo 'target connector name pid state detail' ;;
	plugins) echo 'name kind status summary abi refused args_help path' ;;
	esac
}

# What a connector could open, without its own name in front: names of running guests, of domains.
_sonde_listed() {
	"${COMP_WORDS[0]}" targets "$1" --csv --no-header --fields target 2>/dev/null | tr -d '\r' | sed -n "s/^\"\{0,1\}$1:\(.*[^\"]\)\"\{0,1\}$/\1/p"
}

# Those that begin so, as they are: compgen would take their backslashes for its own.
_sonde_offer_listed() {
	local word
	while IFS= read -r word; do
		[[ $word == "$2"* ]] && COMPREPLY+=("$word")
	done < <(_sonde_listed "$1")
}

# Names of the installed plugins of a kind.
_sonde_plugins() {
	"${COMP_WORDS[0]}" plugins --csv --no-header --fields kind,name 2>/dev/null | tr -d '\r' | sed -n "s/^$1,//p"
}

# Behind a bar stands a layer. The bar is quoted, so an opening quote may stand in front of it all.
_sonde_layer() {
	local before=${1%|*} word
	before=${before#[\'\"]}
	for word in $(_sonde_plugins layer); do
		[[ $word == "${1##*|}"* ]] && COMPREPLY+=("$before|$word")
	done
	compopt -o nospace 2>/dev/null
}

# By number, and by those names that are one word.
_sonde_processes() {
	(cd /proc && echo [0-9]* && grep -hx '[[:alnum:]_.+-]*' [0-9]*/comm 2>/dev/null | sort -u)
}

# A colon splits words: what bash has as the current word is only what stands behind it.
_sonde_target() {
	local cur=$1 whole=$2 word
	case $whole in
	*\|*)
		_sonde_layer "$cur"
		return
		;;
	qemu:* | libvirt:*) _sonde_offer_listed "${whole%%:*}" "${whole#*:}" ;;
	gdb:qemu:*) _sonde_offer_listed qemu "${whole#gdb:qemu:}" ;;
	nbd:unix:* | nbds:unix:*) mapfile -t COMPREPLY < <(compgen -f -- "${whole#*:unix:}") ;;
	gdb:unix:*) mapfile -t COMPREPLY < <(compgen -f -- "${whole#gdb:unix:}") ;;
	gdb:*)
		mapfile -t COMPREPLY < <(compgen -W "qemu: unix:" -- "${whole#gdb:}")
		compopt -o nospace 2>/dev/null
		;;
	process:*)
		mapfile -t COMPREPLY < <(compgen -W "$(_sonde_processes)" -- "${whole#process:}")
		;;
	*:*) mapfile -t COMPREPLY < <(compgen -f -- "${whole#*:}") ;;
	*)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		for word in $(_sonde_plugins connector); do
			[[ $word == "$cur"* ]] && COMPREPLY+=("$word:")
		done
		[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null
		;;
	esac
	compopt -o filenames 2>/dev/null
}

_sonde_value() {
	local option=$1 cur=$2 command=$3 before=
	case $option in
	--color) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$cur") ;;
	--engine) mapfile -t COMPREPLY < <(compgen -W 'auto sync direct io_uring threads epoll' -- "$cur") ;;
	--format) mapfile -t COMPREPLY < <(compgen -W 'elf kdump-zlib kdump-zstd kdump-lzo kdump-snappy avml lime windows raw' -- "$cur") ;;
	--exclude)
		[[ $cur == *,* ]] && before=${cur%,*},
		mapfile -t COMPREPLY < <(compgen -P "$before" -W 'free cache cache-private user all' -- "${cur##*,}")
		;;
	--symbols | --overlay | --journal | --output | -o | --file | --tls-cert | --tls-key | --tls-ca | --tls-psk) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	--fields | -f)
		[[ $cur == *,* ]] && before=${cur%,*},
		mapfile -t COMPREPLY < <(compgen -P "$before" -W "$(_sonde_fields "$command")" -- "${cur##*,}")
		compopt -o nospace 2>/dev/null
		;;
	--hex) [[ $command == write ]] || return 1 ;;
	--pid | -p | --string | --match | -m | --count | -n | --align | --range | --threads | --max | --time | --export) ;;
	--listen) mapfile -t COMPREPLY < <(compgen -W '127.0.0.1 unix:' -- "$cur") ;;
	*) return 1 ;;
	esac
	return 0 # whatever compopt has said
}

_sonde() {
	local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local whole=$cur i=$COMP_CWORD command='' n_operands=0 word
	COMPREPLY=()

	# Join what the colon has split: "qemu" ":" "vm" is one word to us.
	while ((i > 1)) && [[ ${COMP_WORDS[i]} == : || ${COMP_WORDS[i - 1]} == : ]]; do
		i=$((i - 1))
		whole=${COMP_WORDS[i]}$whole
	done
	[[ $cur == : ]] && cur=
	for word in "${COMP_WORDS[@]:1:i-1}"; do
		[[ $word == -* ]] && continue
		if [[ -z $command ]]; then
			[[ " $_sonde_commands " == *" $word "* ]] && command=$word
		else
			n_operands=$((n_operands + 1))
		fi
	done
	_sonde_value "$previous" "$cur" "$command" && return
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$_sonde_common $(_sonde_options "$command")" -- "$cur")
	elif [[ -z $command ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$_sonde_commands" -- "$cur")
	elif [[ $command == targets ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'libvirt process qemu' -- "$cur")
	elif [[ $command != plugins ]]; then
		_sonde_target "$cur" "$whole"
	fi
}

complete -F _sonde sonde
