/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/opts.h"

enum { KEY_STATE_DIR = 4000, KEY_HOLD_VG_LOCK };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "How to write:", 4 },
	{ "dry-run", 'n', NULL, 0, "Show exactly what would be done, and write nothing", 4 },
	{ "yes", 'y', NULL, 0, "Do it without asking for the mirror's name", 4 },
	{ "state-dir", KEY_STATE_DIR, "DIR", 0,
	  "Where journals are kept; /var/lib/mirrorctl if not given", 4 },
	{ "hold-vg-lock", KEY_HOLD_VG_LOCK, NULL, 0,
	  "Lock the volume group for the whole run where LVM cannot be kept from the mirror alone", 4 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct write_words *words = state->input;

	switch (key) {
	case 'n':
		words->dry_run = true;
		return 0;
	case 'y':
		words->yes = true;
		return 0;
	case KEY_STATE_DIR:
		words->state_dir = arg;
		return 0;
	case KEY_HOLD_VG_LOCK:
		words->hold_vg_lock = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void opts_write_access(struct mirror_operand *operand, const struct write_words *words,
		       enum mirror_access access)
{
	operand->access = words->dry_run ? MIRROR_READ : access;
	operand->rehearsal = words->dry_run && access != MIRROR_READ;
	operand->hold_vg_lock = words->hold_vg_lock;
}

const struct argp write_argp = { .options = options, .parser = parse };

const struct argp_child opts_write_children[] = {
	{ &mirror_argp, 0, NULL, 0 },
	{ &report_argp, 0, NULL, 0 },
	{ &write_argp, 0, NULL, 0 },
	{ 0 },
};

void opts_write_inputs(struct argp_state *state, struct mirror_words *mirror,
		       struct report_words *report, struct write_words *write)
{
	state->err_stream = NULL;
	state->child_inputs[0] = mirror;
	state->child_inputs[1] = report;
	state->child_inputs[2] = write;
}
