# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests inside User Mode Linux share: the shell tests' library, and
# mirrors of the real driver.
#
# The disks: /dev/ubda and /dev/ubdb are legs, /dev/ubdc is the log, /dev/ubdd is
# spare.

. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"

leg0=/dev/ubda
leg1=/dev/ubdb
log=/dev/ubdc
# shellcheck disable=SC2034 # used by tests
spare=/dev/ubdd
region_size=128
length=$(blockdev --getsz $leg0)

# The table line; words in "$@" replace the default features.
mirror_table()
{
	echo "0 $length mirror disk 2 $log $region_size 2 $leg0 0 $leg1 0 ${*:-1 handle_errors}"
}

# make_mirror NAME [FEATURE WORDS]: creates it, with uuid MIRRORCTL-TEST-NAME.
make_mirror()
{
	local name=$1

	shift
	mirror_table "$@" | dmsetup create "$name" --uuid "MIRRORCTL-TEST-$name"
}

st()
{
	dmsetup status --noflush "$1"
}

# in_sync NAME: "512/512"
in_sync()
{
	local words

	read -ra words <<<"$(st "$1")"
	[ ${#words[@]} -lt 5 ] || echo "${words[4 + words[3]]}"
}

wait_sync()
{
	local count _

	for _ in $(seq 300); do
		count=$(in_sync "$1")
		[ -z "$count" ] || [ "${count%/*}" != "${count#*/}" ] || return 0
		sleep 0.2
	done
	echo "# $1 is not in sync after a minute: $(st "$1")"
	return 1
}

# Data, not zeros, on the mirror: what differs later then differs for a reason.
fill()
{
	dd if=/dev/urandom of="$1" bs=1M count="$2" oflag=direct conv=notrunc status=none
}

# break_leg DEVICE SECTOR SECTORS: other data, behind the mirror's back. No sector
# is left as it was by chance: every one gets a random word of 512 bytes.
break_leg()
{
	dd if=/dev/urandom of="$1" bs=512 seek="$2" count="$3" oflag=direct conv=notrunc status=none
}

# expect_runs VERDICT LEG RUN... NAME: the report in .out has exactly these runs
# ("first-last", in sectors) of that verdict on that leg against leg 0, and no
# other leg has one.
expect_runs()
{
	local name=${!#} complaints

	complaints=$(python3 "$test_dir/expect_runs.py" "$work/.out" "${@:1:$#-1}" 2>&1)
	ok $? "$name"
	[ -z "$complaints" ] || printf '%s\n' "$complaints" | cut -c -400 | sed 's/^/# /'
}

# counted VERDICT: how many regions the report in .out counts so.
counted()
{
	python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["result"]["counts"][sys.argv[2]])' "$work/.out" "$1"
}
