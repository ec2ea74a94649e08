/* cleanup.h - ownership that can be seen: _cleanup_ at the declaration, TAKE at the hand-over. */
#ifndef FM_BASE_CLEANUP_H
#define FM_BASE_CLEANUP_H

#include <stddef.h>
#include <stdio.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Gives the pointer away and forgets it here. */
#define TAKE(p)                            \
	({                                 \
		__typeof__(p) take_ = (p); \
		(p) = NULL;                \
		take_;                     \
	})

/* Zeroed memory; out of memory ends the daemon (it resumes from its journal). Never NULL. */
void *fm_new_bytes(size_t count, size_t size);
#define fm_new(type, count) ((type *)fm_new_bytes((count), sizeof(type)))
char *fm_strdup(const char *s); /* never NULL; s NULL gives "" */

/* For _cleanup_: take NULL and half-made things. */
void fm_freep(void *pp);       /* free(*pp) */
void fm_closep(const int *fd); /* close(*fd) when >= 0 */
void fm_fclosep(FILE **f);

#define _cleanup_free_ _cleanup_(fm_freep)
#define _cleanup_close_ _cleanup_(fm_closep)
#define _cleanup_fclose_ _cleanup_(fm_fclosep)

#endif
