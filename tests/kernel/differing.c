/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * differing LEG0 LEG1 REGION_BYTES LOG: in which regions do two legs differ, and what
 * does the log say of them? One word each: "100:clean" or "100:not". All is read around
 * the page cache, which nobody keeps true below a mirror. One process instead of the
 * dozen that a shell would need, each of which costs much in User Mode Linux. Exits
 * with 0, 1 (an error), 2 (usage).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)1 << 20)
#define BITS_OFFSET 1024u

static unsigned char *buffer_new(size_t bytes)
{
	void *buffer;

	return posix_memalign(&buffer, 4096, bytes) ? NULL : buffer;
}

/* Fewer bytes than that only at the end; -1: an error. */
static ssize_t read_at(int fd, unsigned char *buffer, size_t bytes, uint64_t at)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t got = pread(fd, buffer + done, bytes - done, (off_t)(at + done));

		if (got < 0)
			return -1;
		if (!got)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* The log's bytes for `region`; "?" when they cannot be read. */
static const char *word_of(int log, unsigned char *block, uint64_t region)
{
	uint64_t byte = BITS_OFFSET + region / 8;

	if (read_at(log, block, 4096, byte - byte % 4096) <= (ssize_t)(byte % 4096))
		return "?";
	return block[byte % 4096] >> region % 8 & 1 ? "clean" : "not";
}

static int differing(const int legs[2], int log, uint64_t region_bytes)
{
	unsigned char *a = buffer_new(CHUNK), *b = buffer_new(CHUNK), *block = buffer_new(4096);
	uint64_t last = UINT64_MAX;

	for (uint64_t at = 0; a && b && block; at += CHUNK) {
		ssize_t got = read_at(legs[0], a, CHUNK, at);

		if (got < 0 || read_at(legs[1], b, CHUNK, at) != got)
			return 1;
		for (ssize_t i = 0; i < got; i += 512) {
			uint64_t region = (at + (uint64_t)i) / region_bytes;

			if (region == last || !memcmp(a + i, b + i, 512))
				continue;
			printf("%s%" PRIu64 ":%s", last == UINT64_MAX ? "" : " ", region,
			       word_of(log, block, region));
			last = region;
		}
		if ((size_t)got < CHUNK)
			break;
	}
	puts("");
	return a && b && block ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint64_t region_bytes;
	int legs[2], log;

	if (argc != 5 || !(region_bytes = strtoull(argv[3], NULL, 10)))
		return 2;
	legs[0] = open(argv[1], O_RDONLY | O_DIRECT);
	legs[1] = open(argv[2], O_RDONLY | O_DIRECT);
	log = open(argv[4], O_RDONLY | O_DIRECT);
	if (legs[0] < 0 || legs[1] < 0 || log < 0 || differing(legs, log, region_bytes)) {
		perror("differing");
		return 1;
	}
	return 0;
}
