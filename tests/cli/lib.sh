# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The shell tests' library: TAP on stdout, one line per assertion. A test is
#
#	. "$(dirname "$0")/lib.sh"
#	plan 2
#	run audit --table table
#	expect_status 4 "bogus bits end with 4"
#	expect_stderr_empty "and nothing is said on stderr"
#
# MIRRORCTL names the program. Every test gets a directory of its own in $work
# (and stands in it), which is gone afterwards.

set -u

test_dir=$(cd "$(dirname "$0")" && pwd)
data_dir=${test_dir%/*}/data
nr_run=0
nr_failed=0
nr_planned=
own_pid=$BASHPID
work=$(mktemp -d "${TMPDIR:-/tmp}/mirrorctl-test.XXXXXX") || exit 99
export LC_ALL=C
# Journals of what a test does not look at go nowhere else.
export MIRRORCTL_STATE_DIR=$work/.state

# Where python3 is a script that first looks for one (pyenv), that takes longer than most
# of what is asked of it.
python=$(type -P python3)
if [ -n "$python" ] && [ "$(head -c 2 "$python")" = '#!' ]; then
	python=$("$python" -c 'import sys; print(sys.executable)' 2>/dev/null)
	if [ -x "$python" ]; then
		mkdir "$work/.bin" && ln -s "$python" "$work/.bin/python3"
		export PATH=$work/.bin:$PATH
	fi
fi

lib_end()
{
	local status=$?

	cd / && rm -rf "$work"
	# A test that dies half-way must not look like a short one.
	if [ -n "$nr_planned" ] && [ "$nr_run" -ne "$nr_planned" ]; then
		echo "# planned $nr_planned assertions, made $nr_run"
		exit 1
	fi
	[ -n "$nr_planned" ] || echo "1..$nr_run"
	exit "$status"
}
trap lib_end EXIT
trap 'exit 130' INT TERM

cd "$work" || exit 99

plan()
{
	nr_planned=$1
	echo "1..$1"
}

skip_all()
{
	echo "1..0 # SKIP $1"
	nr_planned=0
	exit 0
}

# not_in_subshell: what a subshell counts is lost, and the numbers behind it are wrong.
not_in_subshell()
{
	[ "$BASHPID" -ne "$own_pid" ] || return 0
	echo "not ok - in a subshell, where no assertion counts: $1"
	kill -TERM "$own_pid"
	exit 99
}

# ok STATUS NAME: the assertion all others are made of.
ok()
{
	not_in_subshell "$2"
	nr_run=$((nr_run + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $nr_run - $2"
	else
		nr_failed=$((nr_failed + 1))
		echo "not ok $nr_run - $2"
		[ -z "${ran-}" ] || echo "# after: $ran"
		[ -z "${ran-}" ] || head -n 12 "$work/.err" | sed 's/^/# stderr: /'
	fi
	return 0
}

skip()
{
	not_in_subshell "$2"
	nr_run=$((nr_run + 1))
	echo "ok $nr_run - $2 # SKIP $1"
}

# run WORD...: runs mirrorctl, without the defaults of the machine's administrator;
# its exit status is $status, its output is in $work/.out and $work/.err.
run()
{
	ran="mirrorctl $*"
	"$MIRRORCTL" --no-config "$@" >"$work/.out" 2>"$work/.err" </dev/null
	status=$?
}

expect_status()
{
	[ "$status" -eq "$1" ]
	ok $? "$2 (exit status $status, expected $1)"
}

# The bits of $1 are all in the exit status.
expect_status_has()
{
	[ "$status" -lt 128 ] && [ $((status & $1)) -eq "$1" ]
	ok $? "$2 (exit status $status, expected to hold $1)"
}

expect_stdout()
{
	grep -qE -e "$1" "$work/.out"
	ok $? "$2"
}

expect_no_stdout()
{
	! grep -qE -e "$1" "$work/.out"
	ok $? "$2"
}

expect_stderr()
{
	grep -qE -e "$1" "$work/.err"
	ok $? "$2"
}

expect_stderr_empty()
{
	[ ! -s "$work/.err" ]
	ok $? "$1"
}

# One clear line on stderr that matches: names the thing and the remedy.
expect_stderr_one_line()
{
	[ "$(wc -l <"$work/.err")" -eq 1 ] && grep -qE -e "$1" "$work/.err"
	ok $? "$2 (one line on stderr)"
}

# remember FILE...: takes the sha256 of files; expect_unchanged compares.
remember()
{
	sha256sum -- "$@" >"$work/.sums"
}

expect_unchanged()
{
	sha256sum --quiet --check "$work/.sums" >"$work/.changed" 2>&1
	ok $? "$1: no byte changed"
}

# fixture NAME: unpacks tests/data/NAME.tar.xz and goes there.
fixture()
{
	tar -C "$work" -xJf "$data_dir/$1.tar.xz" || exit 99
	cd "$work/$1" || exit 99
}
