/* fuzz_gate_request.c - names of files in the gate's state directory: one that is taken for a request is spelled
 * as that request is, and no other way. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "ngx_module/fm_gate_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[256], again[256];
	struct fm_gate_request request;

	if (size >= sizeof name) return 0;
	memcpy(name, data, size);
	name[size] = '\0';
	if (!fm_gate_request_read(name, &request)) return 0;
	CHECK(request.verb > FM_GATE_VERB_NONE && request.verb <= FM_GATE_VERB_STATUS);
	CHECK(strlen(request.id) == FM_GATE_REQUEST_ID);
	CHECK(FM_FORMAT(again, "request.%s.%s%s", fm_gate_verb_name(request.verb),
			request.force ? "force." : "", request.id));
	CHECK(strcmp(name, again) == 0);
	return 0;
}
