/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compare_memory BYTES: the CPU seconds that memcmp() needs for so many bytes of
 * two buffers that lie in memory and are equal: 64 MiB each, so that no cache
 * holds them, compared until the sum is reached.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUFFER_BYTES (UINT64_C(64) << 20)

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t left = argc == 2 ? strtoull(argv[1], NULL, 10) : 0, part;
	unsigned char *a = malloc(BUFFER_BYTES), *b = malloc(BUFFER_BYTES);
	/* Not known at compile time: the comparison must really happen. */
	int (*volatile compare)(const void *, const void *, size_t) = memcmp;
	double before;
	int different = 0;

	if (!left || !a || !b) {
		fprintf(stderr, "usage: compare_memory BYTES\n");
		return EXIT_FAILURE;
	}
	memset(a, 0x5a, BUFFER_BYTES);
	memset(b, 0x5a, BUFFER_BYTES);
	before = cpu_seconds();
	for (; left; left -= part) {
		part = left < BUFFER_BYTES ? left : BUFFER_BYTES;
		different |= compare(a, b, part);
	}
	printf("%.6f\n", cpu_seconds() - before);
	free(a);
	free(b);
	return different ? EXIT_FAILURE : EXIT_SUCCESS;
}
