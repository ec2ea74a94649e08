/* fuzz_answer.c - what the application answers to the agent's probes: status, then a body. */
#include <stdint.h>
#include <string.h>

#include "agent/world/json.h"
#include "agent/world/verdict.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 0, 200, 301, 404, 500, 502, 503, 504 };
	static const char *const paths[] = { "error.code", "error.command.name", "data.version",
					     "a" };
	const char *body = (const char *)data + 1;
	char text[FM_TEXT_SIZE], small[3];
	enum ag_health health;
	int status;

	if (size < 1) return 0;
	status = statuses[data[0] % 8];
	size--;
	health = ag_health_verdict(status, body, size, text, sizeof(text));
	CHECK(strnlen(text, sizeof(text)) < sizeof(text));
	if (status != 200) CHECK(health != AG_HEALTH_OK);
	health = ag_info_verdict(status, body, size, text, sizeof(text));
	CHECK(strnlen(text, sizeof(text)) < sizeof(text));
	if (status != 200) CHECK(health != AG_HEALTH_OK);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (!ag_json_find(body, size, paths[i], small, sizeof(small))) continue;
		CHECK(strnlen(small, sizeof(small)) < sizeof(small));
		for (const char *s = small; *s; s++) CHECK((unsigned char)*s >= 0x20);
	}
	return 0;
}
