/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What the documentation and the completions have to know, as the program's own
 * tables have it; one fact a line, fields separated by tabs:
 *
 *	command NAME SUMMARY
 *	option SCOPE LONG SHORT ARGUMENT	SCOPE: global or a command; "-" = none
 *	finding ID CLASS
 *	cause ID
 *	verdict NAME
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "core/cause.h"
#include "core/finding.h"
#include "core/verdict.h"

#define CAUSES_MAX 256u

static void list_option(const char *scope, const char *name, int key, const char *arg)
{
	printf("option\t%s\t%s\t%c\t%s\n", scope, name,
	       key > 0 && key < 128 && isprint(key) ? key : '-', arg ? arg : "-");
}

/* What argp itself adds to every parser of this program. */
static void list_argp_options(const char *scope)
{
	list_option(scope, "help", '?', NULL);
	list_option(scope, "usage", 0, NULL);
	list_option(scope, "version", 'V', NULL);
}

static void list_options(const char *scope, const struct argp *argp)
{
	const struct argp_option *option;
	const struct argp_child *child;

	for (option = argp->options; option && (option->name || option->key || option->doc ||
						option->group); option++)
		if (option->name && !(option->flags & (OPTION_HIDDEN | OPTION_DOC)))
			list_option(scope, option->name, option->key, option->arg);
	for (child = argp->children; child && child->argp; child++)
		list_options(scope, child->argp);
}

static void list_findings(void)
{
	static const char *const classes[] = {
		[FINDING_CLASS_NOTE] = "note", [FINDING_CLASS_WARNING] = "warning",
		[FINDING_CLASS_WRONG] = "wrong", [FINDING_CLASS_UNKNOWN] = "unknown",
		[FINDING_CLASS_UNFINISHED] = "unfinished",
	};

	for (unsigned int id = 0; id < FINDING_COUNT; id++)
		printf("finding\t%s\t%s\n", finding_row((enum finding_id)id)->id,
		       classes[finding_row((enum finding_id)id)->class]);
}

/* The table is cause.c's own, so every row is found by the evidence it fits. A
 * row that no evidence fits can never be reported: that is an error too. */
static int list_causes(void)
{
	const struct cause_row *rows[CAUSES_MAX] = { NULL }, *row;
	size_t nr_rows = 0, index;

	for (unsigned int evidence = 0; evidence < EVIDENCE_NEVER_RESUMED << 1; evidence++) {
		index = 0;
		while ((row = cause_next(evidence, &index)) != NULL && index <= CAUSES_MAX)
			rows[index - 1] = row;
		nr_rows = index;
	}
	for (index = 0; index < nr_rows && index < CAUSES_MAX; index++) {
		if (!rows[index]) {
			fprintf(stderr, "list_options: no evidence fits cause number %zu\n", index);
			return 1;
		}
		printf("cause\t%s\n", rows[index]->id);
	}
	return 0;
}

int main(void)
{
	list_options("global", &global_argp);
	list_argp_options("global");
	for (size_t i = 0; commands[i]; i++) {
		printf("command\t%s\t%s\n", commands[i]->name, commands[i]->summary);
		list_options(commands[i]->name, commands[i]->argp);
		list_argp_options(commands[i]->name);
	}
	list_findings();
	for (unsigned int verdict = 0; verdict < VERDICT_COUNT; verdict++)
		printf("verdict\t%s\n", verdict_name((enum verdict)verdict));
	return list_causes() || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
