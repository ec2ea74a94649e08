/* frames.h - frames on a pipe, blocking: what the loop does for everyone else. */
#ifndef DB_FRAMES_H
#define DB_FRAMES_H

#include "base/err.h"
#include "schema/envelope.pb-c.h"

/* The order on fd (free with fm_envelope_free()), or NULL with err. */
Fermata__Envelope *db_read_order(int fd, struct fm_err *err);

int db_write_report(int fd, Fermata__JobReport *report, struct fm_err *err);

#endif
