#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

void *
fm_new_bytes(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	CHECK(p != NULL);
	return p;
}

char *
fm_strdup(const char *s)
{
	size_t size = strlen(s ? s : "") + 1;
	char *copy = fm_new_bytes(size, 1);

	if (s) memcpy(copy, s, size);
	return copy;
}

void
fm_freep(void *pp)
{
	void *p;

	/* pp is the address of a pointer of any type; its bytes are all that may be read here. */
	memcpy(&p, pp, sizeof p);
	free(p);
}

void
fm_closep(const int *fd)
{
	if (*fd >= 0) (void)close(*fd);
}

void
fm_fclosep(FILE **f)
{
	if (*f) (void)fclose(*f);
}
