# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A real LVM for the tests inside User Mode Linux, without udev, dmeventd, lvmpolld
# and systemd. To be sourced behind guest-lib.sh:
#
#	use_pvs /dev/ubda /dev/ubdb /dev/ubdc
#	make_pvs && quietly vgcreate -s 1M vg "${pvs[@]}"
#	quietly lvcreate -y --type mirror -m1 --mirrorlog disk -R 64k -L 8M -n lv vg
#
# LVM sees the named devices and nothing else, so one that is left out at the next
# use_pvs is a disk that has gone.

command -v lvm >/dev/null || skip_all "lvm2 is not installed"

export LVM_SYSTEM_DIR=/run/lvm-etc
export LVM_SUPPRESS_FD_WARNINGS=1
mkdir -p $LVM_SYSTEM_DIR
pvs=()

# What the recorded reports hold: more than mirrorctl asks for.
report_fields=(
	--configreport vg -o vg_name,vg_uuid,vg_attr,vg_extent_size,vg_seqno,vg_systemid,vg_lock_type,vg_lock_args,vg_partial,vg_exported,vg_missing_pv_count,vg_clustered,vg_shared,vg_permissions,vg_tags
	--configreport pv -o pv_name,pv_uuid,pe_start,pv_missing,pv_attr,pv_size,dev_size,pv_major,pv_minor,pv_duplicate,pv_exported,pv_tags
	--configreport lv -o lv_name,lv_uuid,lv_full_name,lv_dm_path,lv_attr,lv_size,lv_layout,lv_role,lv_active,lv_suspended,lv_kernel_major,lv_kernel_minor,lv_device_open,lv_parent,lv_permissions,lv_health_status,lv_initial_image_sync,lv_converting,lv_modules,origin,origin_uuid,mirror_log,mirror_log_uuid,convert_lv,convert_lv_uuid,move_pv,move_pv_uuid,copy_percent,seg_count,lv_tags
	--configreport seg -o lv_uuid,segtype,seg_start,seg_size,stripes,data_stripes,stripe_size,region_size,seg_pe_ranges,seg_le_ranges,devices,seg_monitor,seg_tags
	--configreport pvseg -o pv_uuid,lv_uuid,pvseg_start,pvseg_size
)

# use_pvs DEVICE...
use_pvs()
{
	local filter device

	pvs=("$@")
	for device; do
		filter+="\"a|^$device\$|\", "
	done
	cat >$LVM_SYSTEM_DIR/lvm.conf <<-END
		devices {
			dir = "/dev"
			scan = [ "/dev" ]
			filter = [ ${filter-}"r|.*|" ]
			hints = "none"
			obtain_device_list_from_udev = 0
			use_devicesfile = 0
			external_device_info_source = "none"
			md_component_detection = 0
			multipath_component_detection = 0
		}
		activation {
			udev_sync = 0
			udev_rules = 0
			verify_udev_operations = 1
			monitoring = 0
			polling_interval = 1
			retry_deactivation = 0
		}
		backup {
			backup = 0
			archive = 0
		}
		global {
			use_lvmpolld = 0
			event_activation = 0
			support_mirrored_mirror_log = 1
			thin_check_executable = ""
			cache_check_executable = ""
		}
	END
}

# quietly WORD...: what the command says is shown only when it fails.
quietly()
{
	local rc

	"$@" >"$work/.quiet" 2>&1 </dev/null
	rc=$?
	[ $rc -eq 0 ] || { echo "# $*: status $rc"; sed 's/^/#   /' "$work/.quiet"; }
	return $rc
}

# lvm_run COMMAND WORD...: as run of the shell tests' library, for LVM's commands
lvm_run()
{
	ran="$*"
	timeout 60 "$@" >"$work/.out" 2>"$work/.err" </dev/null
	status=$?
}

# allowed NAME COMMAND WORD...
allowed()
{
	lvm_run "${@:2}"
	expect_status 0 "$1"
}

# refused WHY NAME COMMAND WORD...: LVM does not do it, and WHY is a regular expression
# for what it says
refused()
{
	lvm_run "${@:3}"
	[ "$status" -eq 5 ] && grep -qE -e "$1" "$work/.err"
	ok $? "$2: refused"
}

# make_pvs [OPTION...]: every one of $pvs, with all before it forgotten.
make_pvs()
{
	local device

	for device in "${pvs[@]}"; do
		dd if=/dev/zero of="$device" bs=1M count=2 oflag=direct conv=notrunc status=none
	done
	quietly pvcreate -y --zero n "$@" "${pvs[@]}"
}

# slow_device DEVICE NAME MS: /dev/mapper/NAME is DEVICE, each write MS late; MS 0
# for the next call with the same name lets it go.
slow_device()
{
	local table

	table="0 $(blockdev --getsz "$1") delay $1 0 0 $1 0 $3"
	if dmsetup info "$2" >/dev/null 2>&1; then
		dmsetup suspend --noflush --nolockfs "$2" && dmsetup reload "$2" --table "$table" &&
			dmsetup resume "$2"
	else
		dmsetup create "$2" --table "$table"
	fi
}

lvm_report()
{
	lvm fullreport --all --foreign --shared --reportformat json --units s --nosuffix "${report_fields[@]}"
}

# lv_in_sync VG/LV: "100.00" when the kernel calls it in sync
lv_in_sync()
{
	lvs --noheadings -o copy_percent "$1" | tr -d ' '
}

# forget_vg VG: everything of it, and its device nodes
forget_vg()
{
	quietly vgremove -ff -y "$1"
}

# devices: those of device-mapper, "name:open count:r or w" each
devices()
{
	dmsetup info -c --noheadings -o name,open,attr | tr -d ' ' |
		sed -n 's/^\([^:]*\):\([0-9]*\):..-*\([rw]\)$/\1:\2:\3/p' | sort | tr '\n' ' '
}

vg_seqno()
{
	vgs --noheadings -o vg_seqno "$1" 2>/dev/null | tr -d ' '
}

# lv_content VG LV: what an inactive LV holds, through a device of its own for a moment
lv_content()
{
	"$UML_HELPERS/print_layout" | sed -n "s/^$1-$2: //p" >"$work/.table"
	dmsetup create looked-at --readonly --table "$(cat "$work/.table")" &&
		dd if=/dev/mapper/looked-at bs=1M iflag=direct status=none | sha256sum
	dmsetup remove looked-at
}

# let_go NAME [DEVICES]: nothing of mirrorctl's is left, and no device but these
let_go()
{
	local left files

	left=$(devices)
	files=$(ls /run/mirrorctl/held 2>/dev/null)
	[ "$left" = "${2-}" ] && [ -z "$files" ]
	ok $? "$1: nothing is left"
	[ "$left" = "${2-}" ] && [ -z "$files" ] || echo "# $left $files"
}

wait_lv_sync()
{
	local _

	for _ in $(seq 300); do
		[ "$(lv_in_sync "$1")" != 100.00 ] || return 0
		sleep 0.2
	done
	echo "# $1 is not in sync after a minute"
	return 1
}
