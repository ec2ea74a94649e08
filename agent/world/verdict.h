/* verdict.h - what an answer of the application means. Pure. */
#ifndef AG_WORLD_VERDICT_H
#define AG_WORLD_VERDICT_H

#include <stddef.h>

#include "agent/core/supervise.h"

/* An answer to GET /api/__health_check. text says what it does or why it failed. */
enum ag_health ag_health_verdict(int status, const char *body, size_t len, char *text, size_t size);
/* An answer to GET /api/app:getInfo, after the health check was well. */
enum ag_health ag_info_verdict(int status, const char *body, size_t len, char *text, size_t size);

#endif
