/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/engine.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static const char *const kind_names[] = {
	[ENGINE_AUTO] = "auto",
	[ENGINE_URING] = "io_uring",
	[ENGINE_THREADS] = "threads",
};

int engine_kind_parse(enum engine_kind *kind, const char *text, struct error *err)
{
	unsigned int i;

	for (i = 0; i < sizeof(kind_names) / sizeof(*kind_names); i++) {
		if (strcmp(text, kind_names[i]) == 0) {
			*kind = (enum engine_kind)i;
			return 0;
		}
	}
	return error_usage(err, "I/O engine '%s' is not known: use auto, io_uring or threads",
			   text);
}

#ifndef HAVE_LIBURING	/* built without it: configure --without-liburing */
int uring_create(struct block_engine **engine, const struct engine_params *params)
{
	(void)engine;
	(void)params;
	return -ENOSYS;
}
#endif

static int uring_refused(int code, struct error *err)
{
	if (code == -ENOMEM)
		return error_operation(err, ENOMEM,
				       "io_uring: out of memory: free some, or use --io-engine=threads");
	error_operation(err, ENOSYS,
			"io_uring is not available here (%s): use --io-engine=threads",
			code == -EPERM || code == -EACCES ?
			"forbidden by kernel.io_uring_disabled or a seccomp filter" :
			error_reason(code));
	return -ENOSYS;
}

int engine_create(struct block_engine **engine, const struct engine_params *params,
		  struct error *err)
{
	int code;

	*engine = NULL;
	if (params->kind != ENGINE_THREADS) {
		code = uring_create(engine, params);
		if (!code)
			return 0;
		if (params->kind == ENGINE_URING)
			return uring_refused(code, err);
	}
	code = threads_create(engine, params);
	if (code)
		return error_operation(err, -code,
				       "cannot start the I/O threads: %s: free some memory or raise the limit of processes",
				       error_reason(code));
	return 0;
}

void engine_expect(struct block_engine *engine, void *memory, size_t bytes)
{
	(void)engine;
	madvise(memory, bytes, MADV_HUGEPAGE);
}
