/* clean.h - texts that come from elsewhere, made fit to be shown. */
#ifndef FM_BASE_CLEAN_H
#define FM_BASE_CLEAN_H

/* In place: one line, without control characters, valid UTF-8. What an application says of itself can neither
 * drive a terminal nor add a header to a mail. */
void fm_clean(char *text);

#endif
