# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for mirrorctl(8)                          -*- shell-script -*-

_mirrorctl_offer()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
	# A value follows the equals sign at once.
	if [[ ${COMPREPLY-} == *= ]]; then
		compopt -o nospace 2>/dev/null
	fi
}

_mirrorctl_offer_files()
{
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

# Mirrors of LVM as VG/LV, active or not. In this mode lvm takes no lock and asks no
# kernel, so that nobody waits for anybody.
_mirrorctl_volumes()
{
	timeout 2 lvm lvs --readonly --noheadings --separator / -o vg_name,lv_name \
		-S segtype=mirror 2>/dev/null </dev/null
}

# Mirrors of LVM, and active ones by their names in device-mapper. Only root may ask for
# either; others are offered nothing.
_mirrorctl_offer_mirrors()
{
	local name number names=

	if [[ $cur == /* ]]; then
		_mirrorctl_offer_files
		return
	fi
	while read -r name number; do
		if [[ $number == \(* ]]; then
			names+=" $name"
		fi
	done < <(dmsetup ls --target mirror 2>/dev/null)
	while read -r name; do
		if [[ $name == ?*/?* ]]; then
			names+=" $name"
		fi
	done < <(_mirrorctl_volumes 2>/dev/null)
	_mirrorctl_offer "$names"
}

# JOURNAL first, then MIRROR.
_mirrorctl_offer_journals()
{
	local mirrors

	_mirrorctl_offer_mirrors
	[[ $cur != /* ]] || return
	mirrors=("${COMPREPLY[@]}")
	_mirrorctl_offer_files
	COMPREPLY+=("${mirrors[@]}")
}

_mirrorctl_offer_value()
{
	if [[ $command == extract && $1 == --leg ]]; then
		_mirrorctl_offer '0 1 2 3 4 5 6 7 8'
		return
	fi
	case $1 in
	--leg)
		_mirrorctl_offer_files
		if [[ missing == "$cur"* ]]; then
			COMPREPLY+=(missing)
		fi
		;;
	--log | --table | --mapfile | --from | --output | -o | --save-divergent | --plan | \
	--write-plan | --undo-file | --state-dir | --config | --device) _mirrorctl_offer_files ;;
	--source) _mirrorctl_offer '0 1 2 3 4 5 6 7 8' ;;
	--progress) _mirrorctl_offer 'auto always never json' ;;
	--color) _mirrorctl_offer 'auto always never' ;;
	--io-engine) _mirrorctl_offer 'auto io_uring threads' ;;
	esac
}

_mirrorctl_takes_value()
{
	case $1 in
	--config | --leg | --log | --region-size | --length | --table | --device | --segment | \
	--progress | --color | --max-runs | --mapfile | --io-engine | --regions | --sample | \
	--seed | --rate | --from | --output | -o | --save-divergent | --plan | --write-plan | \
	--undo-file | --source | --state-dir | --max-suspend | --sectors) return 0 ;;
	*) return 1 ;;
	esac
}

# The command among the words before the current one, into $command.
_mirrorctl_find_command()
{
	local i word

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--config)
			i=$((i + 1))
			if [[ ${COMP_WORDS[i]} == = ]]; then
				i=$((i + 1))
			fi
			;;
		-*) ;;
		*)
			command=$word
			return
			;;
		esac
	done
}

_mirrorctl_offer_options()
{
	local mirror='--leg= --log= --region-size= --length= --table= --device= --segment= --inactive'
	local report='--json -q --quiet -v --verbose --progress= --color= --max-runs= --mapfile= --io-engine='
	local write='-n --dry-run -y --yes --state-dir= --hold-vg-lock'
	local help='-? --help --usage -V --version'

	case $1 in
	'') _mirrorctl_offer "--config= --no-config --json -q --quiet -v --verbose $help" ;;
	list) _mirrorctl_offer "$report $help" ;;
	show) _mirrorctl_offer "--runs --map $mirror $report $help" ;;
	extract) _mirrorctl_offer "--leg= -o --output= --regions= --sectors= $report $help" ;;
	repair-log)
		_mirrorctl_offer "--from= --regions= --clear-regardless --rate= -o --output= \
			--save-divergent= --force-large --online --max-suspend= \
			$write $mirror $report $help"
		;;
	undo) _mirrorctl_offer "--list $write $mirror $report $help" ;;
	resync)
		_mirrorctl_offer "--source= --plan= --write-plan= --verify --rate= --copy-all --readback \
			--salvage --accept-salvaged \
			--save-divergent= --undo-file= $write $mirror $report $help"
		;;
	audit) _mirrorctl_offer "--all --regions= --sample= --seed= --rate= $mirror $report $help" ;;
	esac
}

# bash cuts words at = and : unless somebody told it not to; both ways are met.
_mirrorctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} command='' option='' before='' i
	local prev=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	_mirrorctl_find_command
	if [[ $cur == --*=* ]]; then
		option=${cur%%=*}
		before=$option=
		cur=${cur#*=}
	elif [[ $cur == = ]]; then
		option=$prev
		cur=
	elif [[ $prev == = ]]; then
		# "--leg = x", or "--device 253 : 2 = x"
		for ((i = COMP_CWORD - 2; i > 0 && i > COMP_CWORD - 7; i--)); do
			if [[ ${COMP_WORDS[i]} == --* ]]; then
				option=${COMP_WORDS[i]}
				break
			fi
		done
	elif _mirrorctl_takes_value "$prev"; then
		option=$prev
	fi
	if [[ $option == --device && $cur == *=* ]]; then
		before+=${cur%%=*}=
		cur=${cur#*=}
	fi

	if [[ -n $option ]]; then
		_mirrorctl_offer_value "$option"
		for i in "${!COMPREPLY[@]}"; do
			COMPREPLY[i]=$before${COMPREPLY[i]}
		done
	elif [[ $cur == -* ]]; then
		_mirrorctl_offer_options "$command"
	elif [[ -z $command ]]; then
		_mirrorctl_offer 'list show audit repair-log undo resync extract'
	elif [[ $command == resync && $prev == resync ]]; then
		_mirrorctl_offer offline
	elif [[ $command == undo ]]; then
		_mirrorctl_offer_journals
	elif [[ $command == extract ]]; then
		_mirrorctl_offer_files
	else
		_mirrorctl_offer_mirrors
	fi
}

complete -F _mirrorctl mirrorctl
