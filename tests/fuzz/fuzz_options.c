/* fuzz_options.c - a configuration file: whatever is in it, each fault is said, and what is accepted
 * can be written down and read again. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/options.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
	char text[32], name[16], names[64], path[64], choice[8], address[64];
	long long number, duration;
	bool is_on;
};

#define ROW(type, field, fallback, min, max, choices)                                              \
	{                                                                                          \
		"s", #field, FM_OPT_##type, offsetof(struct settings, field),                      \
			sizeof(((struct settings *)0)->field), fallback, min, max, choices, false, \
			false, ""                                                                  \
	}

static const struct fm_opt table[] = {
	ROW(TEXT, text, "", 0, 0, NULL),
	ROW(NAME, name, "a", 0, 0, NULL),
	ROW(NAMES, names, "a b", 1, 5, NULL),
	ROW(PATH, path, "/", 0, 0, NULL),
	ROW(CHOICE, choice, "one", 0, 0, "one|two"),
	ROW(ADDRESS, address, "localhost:1", 0, 0, NULL),
	ROW(NUMBER, number, "0", -100, 100, NULL),
	ROW(DURATION, duration, "1s", 0, 100000000000, NULL),
	ROW(BOOL, is_on, "no", 0, 0, NULL),
	{ 0 },
};

static void
count(void *arg, const char *line)
{
	CHECK(*line);
	(*(unsigned *)arg)++;
}

/* Reads a file made of bytes; the number of faults said. */
static unsigned
read_bytes(const void *bytes, size_t size, struct settings *settings)
{
	_cleanup_close_ int fd = memfd_create("options", MFD_CLOEXEC);
	struct fm_opt_origins origins;
	unsigned faults = 0;
	struct fm_err err;
	char path[40];
	int rc;

	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	(void)FM_FORMAT(path, "/proc/self/fd/%d", fd);
	rc = fm_options_read(table, settings, path, &origins, count, &faults, &err);
	CHECK((rc == 0) == (faults == 0));
	return faults;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings first, second;
	char file[1000] = "[s]\n", value[200];

	if (read_bytes(data, size, &first) > 0) return 0;
	for (const struct fm_opt *o = table; o->section; o++) {
		/* A comment inside of a text would not come back. */
		if (o->type == FM_OPT_TEXT) continue;
		(void)FM_APPEND(file, "%s=%s\n", o->key,
				fm_option_value(o, &first, value, sizeof value));
	}
	CHECK(read_bytes(file, strlen(file), &second) == 0);
	CHECK(first.number == second.number && first.duration == second.duration);
	CHECK(fm_is_equal(first.names, second.names) && fm_is_equal(first.path, second.path));
	return 0;
}
