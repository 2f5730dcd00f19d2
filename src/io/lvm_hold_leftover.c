/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who holds what: a file for each mirror that is held, locked as long as its mirrorctl
 * lives, and what a dead one left taken down by the next. */

#include "io/lvm_hold_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "io/dm_map.h"

#define KIND "held"
#define CONSEQUENCE "nothing was changed"
#define TEXT_MAX 16384u
#define TRIES 8u
#define PAUSE_US 50000u

static const char *run_directory = RUN_DIRECTORY;

void lvm_hold_run_in(const char *directory)
{
	run_directory = directory ? directory : RUN_DIRECTORY;
}

const char *hold_run_directory(void)
{
	return run_directory;
}

/* --- the file ------------------------------------------------------------------------ */

/* What a file says: whose it is, and which components to take down. */
struct claim_text {
	char name[256];		/* "vg/home" */
	long pid;
	struct hold_component components[HOLD_COMPONENTS_MAX];
	unsigned int nr;
};

static bool is_id(const char *id)
{
	return strlen(id) == HOLD_ID_LENGTH &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") ==
	       HOLD_ID_LENGTH;
}

/* "component ID vg/lv" */
static void component_parse(struct claim_text *text, const char *id, char *name)
{
	struct hold_component *component = &text->components[text->nr];
	char *slash = strchr(name, '/');

	if (text->nr == HOLD_COMPONENTS_MAX || !is_id(id) || !slash || name[0] == '-')
		return;
	*slash = '\0';
	component->vg_name = strdup(name);
	component->lv_name = strdup(slash + 1);
	if (component->vg_name && component->lv_name)
		memcpy(component->id, id, sizeof(component->id));
	text->nr++;
}

static void claim_text_free(struct claim_text *text)
{
	hold_components_free(text->components);
}

/* A line that is not understood is passed over. */
static void claim_read(struct claim_text *text, int fd)
{
	char buffer[TEXT_MAX], word[16], id[80], name[272], *line, *rest = buffer;
	ssize_t length = pread(fd, buffer, sizeof(buffer) - 1, 0);

	memset(text, 0, sizeof(*text));
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++)
		text->components[i].fd = -1;
	buffer[length > 0 ? length : 0] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "%15s %79s %271s", word, id, name) == 3 &&
		    !strcmp(word, "component"))
			component_parse(text, id, name);
		else if (sscanf(line, "pid %ld", &text->pid) != 1)
			sscanf(line, "mirror %255s", text->name);
	}
}

int hold_claim_write(struct lvm_hold *hold, struct error *err)
{
	char *by_hand = hold_components_by_hand(hold->components), *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int r = -ENOMEM;

	if (!out || !by_hand)
		goto out;
	fprintf(out, "# mirrorctl writes to this mirror, which is not active, and keeps LVM from "
		"it.\n# Does no mirrorctl run any more, then the next one that writes takes this "
		"down, or:\n%s\nmirror %s\npid %ld\n", by_hand, hold->name, (long)getpid());
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++)
		if (hold_component_used(&hold->components[i]))
			fprintf(out, "component %s %s/%s\n", hold->components[i].id,
				hold->components[i].vg_name, hold->components[i].lv_name);
	r = fclose(out) ? -ENOMEM : run_file_write(&hold->claim, text);
	out = NULL;
out:
	if (out)
		fclose(out);
	free(text);
	free(by_hand);
	return r ? error_operation(err, -r, "cannot write %s: %s; " CONSEQUENCE, hold->claim.path,
				   error_reason(r)) : 0;
}

/* --- what is left ---------------------------------------------------------------------- */

/* `left`: which line takes it down by hand. */
static int say_left(const struct hold_component *components, const char *name,
		    const struct error *why, struct error *err)
{
	char *by_hand = hold_components_by_hand(components);

	error_operation(err, EBUSY, "what a mirrorctl that was killed left of holding %.100s could not "
			"be taken down: %.120s; by hand: %.250s", name, why->text,
			by_hand ? by_hand : "dmsetup remove, lvchange -an");
	free(by_hand);
	return -EBUSY;
}

/* `id`: of the mirror. Were it active, somebody would have done all this by hand, and its
 * components would be its own. */
static int take_down(struct hold_component *components, const char *id, const char *name,
		     struct error *err)
{
	struct mapped_device mirror;
	struct error why = { 0 };
	int r = 0, code;

	if (mapper_probe(NULL) == -ENODEV)
		return 0;	/* then there is no device at all */
	for (unsigned int i = HOLD_COMPONENTS_MAX; i-- > 0;)
		if (hold_component_used(&components[i])) {
			code = hold_map_remove(&components[i], &why);
			r = r ? r : code;
		}
	code = hold_component_find(&mirror, id, &why);
	if (code == -ENXIO)
		code = hold_components_deactivate(components, &why);
	r = r ? r : code;
	return r ? say_left(components, name, &why, err) : 0;
}

/* Of a file that is ours now, what its last owner wrote into it. */
static int take_down_claimed(struct run_file *file, bool *any, struct error *err)
{
	struct claim_text text;
	int r = 0;

	claim_read(&text, file->fd);
	*any = text.nr > 0;
	if (text.nr)
		r = take_down(text.components, file->name, text.name[0] ? text.name :
			      file->name, err);
	if (!r)
		r = run_file_write(file, "");
	claim_text_free(&text);
	return r;
}

/* The kernel closes the files of a process that was killed a moment later; and somebody may
 * just be looking whether it is locked. */
static int claim_open(struct run_file *file, const char *id, unsigned int tries, struct error *err)
{
	int r;

	for (;;) {
		r = run_file_open(file, run_directory, KIND, id, CONSEQUENCE, err);
		if (r != -EBUSY || !--tries)
			return r;
		run_file_close(file);
		usleep(PAUSE_US);
	}
}

int hold_claim(struct lvm_hold *hold, struct error *err)
{
	struct claim_text text;
	char process[40] = "";
	bool any;
	int r = claim_open(&hold->claim, hold->id, TRIES, err);

	if (!r)
		return take_down_claimed(&hold->claim, &any, err);
	if (r != -EBUSY)
		return r;
	claim_read(&text, hold->claim.fd);
	if (text.pid > 0)
		snprintf(process, sizeof(process), " (process %ld)", text.pid);
	claim_text_free(&text);
	run_file_close(&hold->claim);
	return error_operation(err, EBUSY, "another mirrorctl%s writes to %s: wait for its end; "
			       CONSEQUENCE, process, hold->name);
}

/* --- all that is left -------------------------------------------------------------------- */

/* Components of runs that live: not to be touched. */
struct owned {
	char (*ids)[HOLD_ID_LENGTH + 1];
	size_t nr;
};

static int owned_add(struct owned *owned, const struct claim_text *text)
{
	for (unsigned int i = 0; i < text->nr; i++) {
		void *ids = reallocarray(owned->ids, owned->nr + 1, sizeof(*owned->ids));

		if (!ids)
			return -ENOMEM;
		owned->ids = ids;
		memcpy(owned->ids[owned->nr++], text->components[i].id,
		       sizeof(text->components[i].id));
	}
	return 0;
}

static bool owned_has(const struct owned *owned, const char *id)
{
	for (size_t i = 0; i < owned->nr; i++)
		if (!strcmp(owned->ids[i], id))
			return true;
	return false;
}

/* One file: of a run that lives, or of one that does not. */
static int clean_file(const char *id, struct owned *owned, unsigned int *nr, struct error *err)
{
	struct claim_text text;
	struct run_file file;
	bool any = false;
	int r = claim_open(&file, id, 1, err);

	if (r == -EBUSY) {
		claim_read(&text, file.fd);
		r = owned_add(owned, &text);
		claim_text_free(&text);
	} else if (!r) {
		r = take_down_claimed(&file, &any, err);
		if (!r)
			run_file_remove(&file);
		*nr += !r && any;
	}
	run_file_close(&file);
	return r;
}

static int clean_files(struct owned *owned, unsigned int *nr, struct error *err)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *directory;
	int r = 0;

	snprintf(path, sizeof(path), "%s/" KIND, run_directory);
	directory = opendir(path);
	if (!directory)
		return 0;
	while ((entry = readdir(directory))) {
		int code = is_id(entry->d_name) ? clean_file(entry->d_name, owned, nr, err) : 0;

		r = r ? r : code;
	}
	closedir(directory);
	return r;
}

/* A map without a file: somebody has emptied /run/mirrorctl. Who has it open lives. */
static int clean_map(const struct mapped_device *map, unsigned int *nr, struct error *err)
{
	struct hold_component components[HOLD_COMPONENTS_MAX] = { 0 };
	struct hold_component *component = &components[0];
	struct mapped_device device;
	unsigned int open_count;
	int r = dm_map_find(&device, &open_count, map->uuid, err);

	if (r || open_count)
		return r == -ENXIO ? 0 : r;
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++)
		components[i].fd = -1;
	memcpy(component->id, map->uuid + strlen(HOLD_MAP_PREFIX), sizeof(component->id));
	r = hold_component_find(&device, component->id, err);
	if (!r && lvm_dm_name_split(&component->vg_name, &component->lv_name, device.name))
		r = take_down(components, "", device.name, err);
	else if (!r || r == -ENXIO)
		r = hold_map_remove(component, err);
	*nr += !r;
	hold_components_free(components);
	return r;
}

static bool is_map(const struct mapped_device *device)
{
	return !strncmp(device->uuid, HOLD_MAP_PREFIX, strlen(HOLD_MAP_PREFIX)) &&
	       is_id(device->uuid + strlen(HOLD_MAP_PREFIX));
}

int lvm_hold_clean_up(unsigned int *nr, struct error *err)
{
	struct mapped_device *devices = NULL;
	struct owned owned = { 0 };
	unsigned int mirrors = 0;
	size_t nr_devices = 0;
	const struct lvm_cancel *before;
	int r, code;

	if (nr)
		*nr = 0;
	/* The devices first: a map that is there now has its file already. */
	if (geteuid() || mapped_device_list(&devices, &nr_devices, NULL))
		return 0;
	before = lvm_cancel_by(&lvm_cancel_late);
	r = clean_files(&owned, &mirrors, err);
	for (size_t i = 0; i < nr_devices; i++) {
		if (!is_map(&devices[i]) ||
		    owned_has(&owned, devices[i].uuid + strlen(HOLD_MAP_PREFIX)))
			continue;
		code = clean_map(&devices[i], &mirrors, err);
		r = r ? r : code;
	}
	lvm_cancel_by(before);
	free(devices);
	free(owned.ids);
	if (nr)
		*nr = mirrors;
	return r;
}

/* Does the one who wrote the file live? */
static bool is_locked(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB) != 0;
}

char *lvm_hold_leftovers(void)
{
	struct claim_text text;
	char path[PATH_MAX], *sentence = NULL;
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/" KIND, run_directory);
	directory = opendir(path);
	while (directory && !sentence && (entry = readdir(directory))) {
		int fd = is_id(entry->d_name) ?
			 openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) :
			 -1;

		if (fd < 0)
			continue;
		claim_read(&text, fd);
		if (text.nr && text.name[0] && !is_locked(fd)) {
			char *by_hand = hold_components_by_hand(text.components);

			if (asprintf(&sentence, "a mirrorctl that was killed left %s held, so that LVM "
				     "cannot activate it: the next mirrorctl that writes takes that "
				     "down, or by hand: %s", text.name, by_hand ? by_hand : "") < 0)
				sentence = NULL;
			free(by_hand);
		}
		claim_text_free(&text);
		close(fd);
	}
	if (directory)
		closedir(directory);
	return sentence;
}
