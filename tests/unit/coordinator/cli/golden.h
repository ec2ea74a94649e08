/* golden.h - a text against the file of this name in tests/golden/ ($FERMATA_GOLDEN). With
 * FERMATA_GOLDEN_ACCEPT set the file is written instead; the change is then reviewed as a diff. */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include <stdio.h>

void golden_check(const char *name, const char *text);

/* A stream into memory: golden_open, print, golden_text (valid until the next golden_open). */
FILE *golden_open(void);
const char *golden_text(void);

#endif
