#include "made_up.h"

#include "folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[256];

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int
folder_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(root, sizeof(root), "%s/fermata-unit-XXXXXX", tmp ? tmp : "/tmp");
	*state = root;
	return mkdtemp(root) ? 0 : -1;
}

int
folder_teardown(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
folder_path(const char *name)
{
	static char paths[8][1024];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

static void
make_parents(const char *path)
{
	char part[1024];

	(void)snprintf(part, sizeof(part), "%s", path);
	for (char *at = part + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		assert_true(mkdir(part, 0755) == 0 || errno == EEXIST);
		*at = '/';
	}
}

void
folder_write(const char *name, const char *text)
{
	const char *path = folder_path(name);
	FILE *file;

	make_parents(path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

const char *
folder_read(const char *name)
{
	static char text[65536];
	FILE *file = fopen(folder_path(name), "r");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	text[len] = '\0';
	if (file) (void)fclose(file);
	return text;
}

bool
folder_has(const char *name)
{
	struct stat st;

	return lstat(folder_path(name), &st) == 0;
}

void
folder_release(const char *base, const char *version)
{
	char name[512], text[128];

	(void)snprintf(name, sizeof(name),
		       "%s/releases/%s/node_modules/@nocobase/server/package.json", base, version);
	(void)snprintf(text, sizeof(text), "{\"name\":\"@nocobase/server\",\"version\":\"%s\"}",
		       version);
	folder_write(name, text);
}
