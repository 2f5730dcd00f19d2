/* SPDX-License-Identifier: GPL-2.0-or-later */

/* mirrorctl extract: gives back what a journal has saved of a leg. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/mapfile.h"
#include "cli/report_extract.h"
#include "cli/signals.h"
#include "core/region_list.h"
#include "io/new_image.h"
#include "io/journal_file.h"

enum { KEY_LEG = 4000, KEY_REGIONS, KEY_SECTORS };

struct extract_words {
	struct report_words report;
	const char *file;
	const char *output;
	const char *regions;
	const char *sectors;
	bool leg_given;
	unsigned int leg;
};

static const struct argp_option options[] = {
	{ "leg", KEY_LEG, "N", 0, "Extract what is saved of leg N; without it the file's contents are listed", 0 },
	{ "output", 'o', "OUT", 0, "Write it to OUT, a new file", 0 },
	{ "regions", KEY_REGIONS, "LIST", 0, "Of these regions alone, as in 5,7-9,100-", 0 },
	{ "sectors", KEY_SECTORS, "START-END", 0, "Of these sectors of the mirror alone", 0 },
	{ 0 },
};

static const struct argp_child children[] = {
	{ &report_argp, 0, NULL, 0 },
	{ 0 },
};

static error_t parse_leg(const struct argp_state *state, struct extract_words *words,
			 const char *text)
{
	unsigned long long leg;
	error_t r = opts_number(state, "--leg", text, MIRROR_LEGS_MAX - 1, &leg);

	if (r)
		return r;
	words->leg = (unsigned int)leg;
	words->leg_given = true;
	return 0;
}

static error_t parse_file(const struct argp_state *state, struct extract_words *words,
			  const char *text)
{
	struct error err = { 0 };

	if (words->file) {
		error_usage(&err, "one FILE at a time, and \"%s\" is another one", text);
		return opts_error(state, &err);
	}
	words->file = text;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct extract_words *words = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->err_stream = NULL;
		state->child_inputs[0] = &words->report;
		return 0;
	case KEY_LEG:
		return parse_leg(state, words, arg);
	case 'o':
		words->output = arg;
		return 0;
	case KEY_REGIONS:
		words->regions = arg;
		return 0;
	case KEY_SECTORS:
		words->sectors = arg;
		return 0;
	case ARGP_KEY_ARG:
		return parse_file(state, words, arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .children = children, .args_doc = "FILE",
	.doc = "Write what FILE has saved of a leg to a new file, every sector at its place in "
	       "the mirror and holes between them. FILE is what repair-log --save-divergent wrote, "
	       "or an undo journal with data of the legs. Without --leg, list what FILE holds.\v"
	       "Examples:\n"
	       "  mirrorctl extract home.saved\n"
	       "  mirrorctl extract home.saved --leg 1 -o leg1.img --mapfile=leg1.map\n"
	       "  mirrorctl extract home.saved --leg 1 --sectors=25600-25735 -o piece.img",
};

static int validate(const struct extract_words *words, struct error *err)
{
	if (!words->file)
		return error_usage(err, "which FILE? Give one that repair-log --save-divergent wrote, or an undo journal");
	if (words->leg_given && (!words->output || !*words->output))
		return error_usage(err, "--leg: where to? Give -o OUT, the name of a new file");
	if (!words->leg_given && (words->output || words->regions || words->sectors ||
				  words->report.mapfile))
		return error_usage(err, "-o, --regions, --sectors and --mapfile need --leg N: of which leg?");
	if (words->regions && words->sectors)
		return error_usage(err, "--regions and --sectors: give one of them");
	return 0;
}

/* --- which sectors -------------------------------------------------------- */

/* Regions become the sectors that they hold. */
static void to_sectors(struct region_list *list, const struct region_geometry *geometry)
{
	for (size_t i = 0; i < list->nr_runs; i++) {
		struct region_run *run = &list->runs[i];
		uint64_t start = region_start(geometry, run->first);

		run->last = start + region_run_sectors(geometry, *run) - 1;
		run->first = start;
	}
}

/* Freed with region_list_free(). */
static int choose_ranges(struct region_list *ranges, const struct extract_words *words,
			 const struct extract *extract, struct error *err)
{
	uint64_t length = extract->identity.length;
	int r;

	if (words->regions) {
		r = region_list_parse(ranges, words->regions, extract->geometry.nr_regions, err);
		if (!r)
			to_sectors(ranges, &extract->geometry);
		return r;
	}
	ranges->runs = calloc(1, sizeof(*ranges->runs));
	if (!ranges->runs)
		return error_operation(err, ENOMEM, "not enough memory");
	ranges->nr_runs = 1;
	ranges->runs[0].last = length - 1;
	return words->sectors ? extract_parse_sectors(ranges->runs, words->sectors, length, err) : 0;
}

static int check_leg(const struct extract_words *words, const struct extract *extract,
		     struct error *err)
{
	if (words->leg < extract->identity.nr_legs)
		return 0;
	return error_usage(err, "--leg %u: the mirror of %s has legs 0 to %u", words->leg,
			   words->file, extract->identity.nr_legs - 1);
}

/* "0 and 2"; "no leg" */
static void name_legs(char *out, size_t room, const struct extract *extract)
{
	unsigned int nr = 0, named = 0;
	size_t n = 0;

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		nr += extract->legs[leg].sectors != 0;
	snprintf(out, room, "no leg at all");
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX && n < room; leg++) {
		if (!extract->legs[leg].sectors)
			continue;
		n += (size_t)snprintf(out + n, room - n, "%s%u", !named ? nr > 1 ? "legs " : "leg " :
				      named + 1 == nr ? " and " : ", ", leg);
		named++;
	}
}

/* An image that is one large hole would be taken for data. */
static int nothing_written(const struct extract_words *words, const struct extract *extract,
			   struct error *err)
{
	const char *range = words->regions || words->sectors ? " in this range" : "";
	char legs[64];

	if (!extract->complete)
		return error_operation(err, ENODATA, "%s: was cut short before it was complete, and "
				       "what can be read holds nothing of leg %u%s; take an intact copy",
				       words->file, words->leg, range);
	if (extract->legs[words->leg].sectors)
		return error_usage(err, "%s: holds nothing of leg %u%s; mirrorctl extract without "
				   "--leg lists what it holds", words->file, words->leg, range);
	name_legs(legs, sizeof(legs), extract);
	return error_usage(err, "%s: holds nothing of leg %u; it has sectors of %s", words->file,
			   words->leg, legs);
}

/* --- the output ----------------------------------------------------------- */

struct output {
	struct new_image image;
	struct mapfile *map;
	uint64_t origin;	/* sector of the mirror at its beginning */
};

static int output_write(void *context, uint64_t start_sector, const unsigned char *data,
			uint64_t sectors, struct error *err)
{
	struct output *output = context;

	return new_image_write(&output->image, start_sector - output->origin, data, sectors, err);
}

/* All or nothing: whatever fails, neither image nor map is left behind. */
static int write_output(struct output *output, struct extract *extract,
			const struct extract_words *words, const struct region_list *ranges,
			struct error *err)
{
	struct extract_wish wish = {
		.leg = words->leg, .ranges = ranges->runs, .nr_ranges = ranges->nr_runs,
		.write = output_write, .context = output,
	};
	int r = extract_read(extract, &wish, signals_cancelled, NULL, err);

	if (!r && !extract->written.nr)
		r = nothing_written(words, extract, err);
	if (!r)
		r = new_image_sync(&output->image, err);
	if (!r)
		r = mapfile_write_extents(output->map, &extract->written, output->origin, err);
	if (!r)
		new_image_keep(&output->image);
	return r;
}

static int extract_leg(struct extract_report *report, struct extract *extract,
		       const struct extract_words *words, int input_fd, struct error *err)
{
	struct output output = { .image.fd = -1 };
	struct region_list ranges = { 0 };
	uint64_t length;
	int r = check_leg(words, extract, err);

	if (!r)
		r = choose_ranges(&ranges, words, extract, err);
	if (r)
		goto out;
	report->span = (struct region_run){ ranges.runs[0].first,
					    ranges.runs[ranges.nr_runs - 1].last };
	length = report->span.last - report->span.first + 1;
	output.origin = report->span.first;
	r = new_image_create(&output.image, words->output, length, err);
	if (!r)
		r = mapfile_create_for_image(&output.map, words->report.mapfile, length,
					     (int[]){ input_fd, output.image.fd }, 2, err);
	if (!r)
		r = write_output(&output, extract, words, &ranges, err);
out:
	mapfile_close(output.map);
	new_image_close(&output.image);
	region_list_free(&ranges);
	return r;
}

/* --- the command ---------------------------------------------------------- */

static void warn_cut_short(const struct extract_report *report)
{
	uint64_t sectors = 0;

	if (report->output)
		sectors = report->extract->written.sectors;
	else
		for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
			sectors += report->extract->legs[leg].sectors;
	fprintf(stderr, "mirrorctl: %s: %s: %" PRIu64 " sector%s can be read%s\n", report->file,
		report->extract->torn ? "ends in something else, as after a power cut, or is damaged there" :
		"was cut short before it was complete", sectors, sectors == 1 ? "" : "s",
		report->output ? " and were extracted" : "");
}

static void print_report(struct extract_report *report)
{
	report->exit_status = report->extract->complete ? EXIT_OK : EXIT_TROUBLE;
	if (!report->extract->complete)
		warn_cut_short(report);
	if (report->words->json)
		report_extract_json(report);
	else
		report_extract_text(report);
}

static int run(int argc, char **argv)
{
	static struct extract_words words;
	static struct extract extract;
	struct extract_report report = { .extract = &extract, .words = &words.report };
	struct journal_input input;
	struct error err = { 0 };
	int r;

	memset(&words, 0, sizeof(words));
	memset(&extract, 0, sizeof(extract));
	if (!command_parse(&command_extract, argc, argv, &words))
		return EXIT_USAGE;
	r = validate(&words, &err);
	if (r)
		return command_not_done(&command_extract, r, &err, words.report.json);
	signals_install();
	report.file = words.file;
	report.output = words.output;
	report.leg = words.leg;
	r = journal_input_open(&input, words.file, &err);
	if (r)
		return command_not_done(&command_extract, r, &err, words.report.json);
	r = extract_begin(&extract, &input.source, words.report.max_runs ?
			  words.report.max_runs : MAX_RUNS_DEFAULT, &err);
	if (!r && words.leg_given)
		r = extract_leg(&report, &extract, &words, input.fd, &err);
	else if (!r)
		r = extract_read(&extract, NULL, signals_cancelled, NULL, &err);
	if (r)
		report.exit_status = command_not_done(&command_extract, r, &err, words.report.json);
	else
		print_report(&report);
	extract_free(&extract);
	journal_input_close(&input);
	return report.exit_status;
}

const struct command command_extract = {
	.name = "extract", .summary = "give back what was saved of a leg before a repair",
	.argp = &argp, .run = run,
};
