/* folder.h - a folder of its own for each test, and files in it. */
#ifndef TEST_UNIT_AGENT_FOLDER_H
#define TEST_UNIT_AGENT_FOLDER_H

#include <stdbool.h>

int folder_setup(void **state); /* *state: its path */
int folder_teardown(void **state);

/* Below the folder of the test under way; folders on the way are made. */
const char *folder_path(const char *name);
void folder_write(const char *name, const char *text);
/* Static memory; "" when it is not there. */
const char *folder_read(const char *name);
bool folder_has(const char *name);
void folder_release(const char *root, const char *version);

#endif
