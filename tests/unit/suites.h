/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SUITES_H
#define TESTS_UNIT_SUITES_H

#include "support/quick_check.h"

/* One suite a module; check_mirrorctl.c runs them all. */
Suite *region_suite(void);
Suite *bitmap_suite(void);
Suite *region_engine_suite(void);
Suite *region_list_suite(void);
Suite *size_suite(void);
Suite *sampling_suite(void);
Suite *mirror_table_suite(void);
Suite *block_suite(void);
Suite *engine_suite(void);
Suite *device_suite(void);
Suite *device_extents_suite(void);
Suite *discover_suite(void);
Suite *mirror_log_suite(void);
Suite *compare_suite(void);
Suite *audit_suite(void);
Suite *audit_file_suite(void);
Suite *audit_oracle_suite(void);
Suite *finding_suite(void);
Suite *picture_suite(void);
Suite *log_area_suite(void);
Suite *run_list_suite(void);
Suite *piece_list_suite(void);
Suite *leg_reader_suite(void);
Suite *cause_suite(void);
Suite *activation_suite(void);
Suite *selection_suite(void);
Suite *json_stream_suite(void);
Suite *config_suite(void);
Suite *identify_suite(void);
Suite *identity_suite(void);
Suite *stable_name_suite(void);
Suite *journal_suite(void);
Suite *journal_file_suite(void);
Suite *state_suite(void);
Suite *repair_suite(void);
Suite *extract_suite(void);
Suite *repair_power_suite(void);
Suite *region_reading_suite(void);
Suite *repair_record_suite(void);
Suite *undo_suite(void);
Suite *undo_journal_suite(void);
Suite *suspend_rules_suite(void);
Suite *watchdog_suite(void);
Suite *online_suite(void);
Suite *restore_suite(void);
Suite *resync_suite(void);
Suite *resync_dry_run_suite(void);
Suite *resync_plan_suite(void);
Suite *resync_power_suite(void);
Suite *resync_record_suite(void);
Suite *salvage_suite(void);
Suite *listed_mirror_suite(void);
Suite *log_batch_suite(void);
Suite *lvm_suite(void);
Suite *lvm_names_suite(void);
Suite *lvm_report_suite(void);
Suite *lvm_layout_suite(void);
Suite *lvm_same_suite(void);
Suite *lvm_hold_suite(void);

#endif
