/* version.h - order of NocoBase's versions: semver 2.0 with pre-releases (1.2.4-alpha). Pure. */
#ifndef FM_BASE_VERSION_H
#define FM_BASE_VERSION_H

#include <stdbool.h>

/* Three numbers, an optional "-pre.release" and an ignored "+build"; a leading "v" is tolerated. */
bool fm_version_is_valid(const char *version);

/* Sets *ret to <0, 0, >0 as a is older, the same, newer than b. false: one of them is no version
 * and they are not the same text, so that nothing can be said. */
bool fm_version_compare(const char *a, const char *b, int *ret);

#endif
