#include "golden.h"

#include <stdlib.h>
#include <string.h>

#include "../../test.h"
#include "base/cleanup.h"
#include "base/text.h"

static FILE *stream;
static char *memory;
static size_t memory_size;

FILE *
golden_open(void)
{
	free(memory);
	memory = NULL;
	stream = open_memstream(&memory, &memory_size);
	assert_non_null(stream);
	return stream;
}

const char *
golden_text(void)
{
	assert_int_equal(fclose(stream), 0);
	return memory;
}

void
golden_check(const char *name, const char *text)
{
	const char *folder = getenv("FERMATA_GOLDEN");
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *kept = fm_new(char, 65536);
	char path[1024];

	assert_non_null(folder);
	FM_FORMAT(path, "%s/%s", folder, name);
	if (getenv("FERMATA_GOLDEN_ACCEPT")) {
		file = fopen(path, "we");
		assert_non_null(file);
		assert_int_equal(fputs(text, file) < 0, 0);
		return;
	}
	file = fopen(path, "re");
	if (!file) fail_msg("%s is missing: ./build.sh golden --accept makes it", path);
	assert_true(fread(kept, 1, 65535, file) > 0);
	if (strcmp(kept, text) == 0) return;
	print_error("%s holds:\n%s\nnow it would be:\n%s\n", path, kept, text);
	fail_msg("%s differs", name);
}
