#include "agent/world/verdict.h"

#include <string.h>

#include "agent/world/json.h"
#include "base/text.h"

/* nocobase: any other code is final, the process lives on and never recovers by itself.
 * APP_NOT_FOUND was seen for less than 0.2 s at the beginning of a start. */
static const char *const passing_codes[] = {
	"APP_COMMANDING", "APP_PREPARING", "APP_INITIALIZING", "APP_INITIALIZED",
	"APP_STARTING",	  "APP_STOPPED",   "APP_NOT_FOUND",
};

static bool
is_passing(const char *code)
{
	for (size_t i = 0; i < sizeof(passing_codes) / sizeof(*passing_codes); i++)
		if (strcmp(code, passing_codes[i]) == 0) return true;
	return false;
}

static enum ag_health
read_maintaining(int status, const char *body, size_t len, char *text, size_t size)
{
	char code[64], command[64], message[FM_TEXT_SIZE];

	if (!ag_json_find(body, len, "error.code", code, sizeof(code))) {
		fm_format(text, size, "status %d without a code", status);
		return AG_HEALTH_BUSY;
	}
	(void)ag_json_find(body, len, "error.message", message, sizeof(message));
	(void)ag_json_find(body, len, "error.command.name", command, sizeof(command));
	if (!is_passing(code)) {
		fm_format(text, size, "%s: %s", code, message[0] ? message : "no message");
		return AG_HEALTH_FAILED;
	}
	fm_format(text, size, "%s%s%s", command, command[0] && message[0] ? ": " : "", message);
	if (text[0] == '\0') fm_copy(text, size, code);
	return AG_HEALTH_BUSY;
}

enum ag_health
ag_health_verdict(int status, const char *body, size_t len, char *text, size_t size)
{
	text[0] = '\0';
	if (status == 0) return AG_HEALTH_SILENT;
	if (status == 200) {
		if (len == 2 && memcmp(body, "ok", 2) == 0) return AG_HEALTH_OK;
		fm_copy(text, size, "the health check's answer is not NocoBase's");
		return AG_HEALTH_BUSY;
	}
	return read_maintaining(status, body, len, text, size);
}

enum ag_health
ag_info_verdict(int status, const char *body, size_t len, char *text, size_t size)
{
	char message[FM_TEXT_SIZE];

	text[0] = '\0';
	if (status == 200) return AG_HEALTH_OK;
	if (status == 503) return read_maintaining(status, body, len, text, size);
	/* nocobase: with its database away the health check is well, and this is a 500. */
	if (!ag_json_find(body, len, "error.message", message, sizeof(message))) message[0] = '\0';
	if (status == 0)
		fm_copy(text, size, "app:getInfo does not answer");
	else
		fm_format(text, size, "app:getInfo answers %d%s%s", status, message[0] ? ": " : "",
			  message);
	return AG_HEALTH_SICK;
}
