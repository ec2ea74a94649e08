/* fuzz_dotenv.c - the application's settings file, as a person left it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/world/dotenv.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fm_new(char, size + 1);
	struct ag_dotenv env = { 0 };
	struct fm_err err;

	if (size) memcpy(text, data, size);
	if (ag_dotenv_parse(&env, text, &err) < 0) {
		CHECK(env.count == 0);
	} else {
		CHECK(env.count <= AG_DOTENV_MAX);
		for (size_t i = 0; i < env.count; i++) {
			CHECK(*env.keys[i] && !strchr(env.keys[i], '='));
			CHECK(fm_is_equal(ag_dotenv_get(&env, env.keys[i]), env.values[i]));
		}
	}
	ag_dotenv_done(&env);
	return 0;
}
