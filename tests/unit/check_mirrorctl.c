/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the suite of every module. libcheck's own variables choose what and how:
 * CK_RUN_SUITE=region, CK_FORK=no, CK_VERBOSITY=verbose. With MIRRORCTL_SHARE=2/3 it is
 * every third suite, from the second on: for as many processes side by side.
 */
#include <stdio.h>
#include <stdlib.h>

#include "unit/suites.h"

static Suite *(*const suites[])(void) = {
	region_suite,
	bitmap_suite,
	region_engine_suite,
	region_list_suite,
	size_suite,
	sampling_suite,
	mirror_table_suite,
	block_suite,
	engine_suite,
	device_suite,
	device_extents_suite,
	discover_suite,
	mirror_log_suite,
	compare_suite,
	audit_suite,
	audit_file_suite,
	audit_oracle_suite,
	finding_suite,
	picture_suite,
	log_area_suite,
	run_list_suite,
	piece_list_suite,
	leg_reader_suite,
	cause_suite,
	activation_suite,
	selection_suite,
	json_stream_suite,
	config_suite,
	identify_suite,
	identity_suite,
	stable_name_suite,
	probe_child_suite,
	journal_suite,
	journal_file_suite,
	state_suite,
	extract_suite,
	repair_suite,
	repair_power_suite,
	region_reading_suite,
	repair_record_suite,
	undo_suite,
	undo_journal_suite,
	suspend_rules_suite,
	watchdog_suite,
	online_suite,
	restore_suite,
	resync_suite,
	resync_dry_run_suite,
	resync_plan_suite,
	resync_power_suite,
	resync_record_suite,
	salvage_suite,
	listed_mirror_suite,
	log_batch_suite,
	lvm_suite,
	lvm_report_suite,
	lvm_layout_suite,
	lvm_names_suite,
	lvm_same_suite,
	lvm_hold_suite,
};

int main(void)
{
	const char *words = getenv("MIRRORCTL_SHARE");
	unsigned int share = 1, shares = 1;
	SRunner *runner;
	int failed;
	size_t i;

	if (words && (sscanf(words, "%u/%u", &share, &shares) != 2 || share < 1 || share > shares)) {
		fprintf(stderr, "check_mirrorctl: MIRRORCTL_SHARE=%s is not like 1/2\n", words);
		return EXIT_FAILURE;
	}
	runner = srunner_create(NULL);
	for (i = share - 1; i < sizeof(suites) / sizeof(suites[0]); i += shares)
		srunner_add_suite(runner, suites[i]());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
