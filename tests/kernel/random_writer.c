/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random_writer DEVICE: writes 4 KiB blocks of new data at random places of a
 * block device, with direct I/O, until it is killed; then says on stdout how
 * many. A tenth of the writes go to one and the same region, which is thus almost
 * always dirty.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 4096u

static volatile sig_atomic_t ended;

static void on_signal(int signal_number)
{
	(void)signal_number;
	ended = 1;
}

/* xorshift64: the same places on every run. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int write_until_ended(int fd, uint64_t nr_blocks, uint64_t *block)
{
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15), nr_written = 0, place;
	size_t i;

	while (!ended) {
		place = next_random(&state) % (next_random(&state) % 10 ? nr_blocks : 16);
		for (i = 0; i < BLOCK_BYTES / sizeof(*block); i++)
			block[i] = next_random(&state);
		if (pwrite(fd, block, BLOCK_BYTES, (off_t)(place * BLOCK_BYTES)) !=
		    (ssize_t)BLOCK_BYTES) {
			fprintf(stderr, "random_writer: write at block %" PRIu64 ": %s\n",
				place, strerror(errno));
			return EXIT_FAILURE;
		}
		nr_written++;
	}
	printf("%" PRIu64 "\n", nr_written);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_signal };
	void *block = NULL;
	int fd = -1, status = EXIT_FAILURE;
	off_t bytes;

	if (argc != 2) {
		fprintf(stderr, "usage: random_writer DEVICE\n");
		return EXIT_FAILURE;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	fd = open(argv[1], O_WRONLY | O_DIRECT);
	bytes = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (bytes < (off_t)(16 * BLOCK_BYTES)) {
		fprintf(stderr, "random_writer: %s: %s\n", argv[1],
			fd < 0 ? strerror(errno) : "too small");
		goto out;
	}
	if (posix_memalign(&block, BLOCK_BYTES, BLOCK_BYTES))
		goto out;
	status = write_until_ended(fd, (uint64_t)bytes / BLOCK_BYTES, block);
out:
	free(block);
	if (fd >= 0)
		close(fd);
	return status;
}
