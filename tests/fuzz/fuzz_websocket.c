/* fuzz_websocket.c - what a client sends on a websocket that the gate keeps: the first byte says in how large
 * parts it comes. However it is cut, the same must happen; and nobody may send more than is allowed. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "ngx_module/fm_websocket.h"

#define BUDGET 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned pings, pongs;
	enum fm_websocket_event last;
	unsigned code;
	size_t used;
	unsigned sum; /* of the payload of pings */
};

static void
note(struct seen *seen, const struct fm_websocket *ws, enum fm_websocket_event event)
{
	CHECK(ws->control_size <= FM_WEBSOCKET_CONTROL_MAX);
	CHECK(ws->head_size <= FM_WEBSOCKET_CLIENT_HEAD);
	CHECK(event <= FM_WEBSOCKET_FAULT);
	seen->last = event;
	seen->pongs += event == FM_WEBSOCKET_PONG;
	if (event == FM_WEBSOCKET_CLOSE || event == FM_WEBSOCKET_FAULT) {
		CHECK(ws->code >= 1000 && ws->code < 5000);
		seen->code = ws->code;
	}
	if (event != FM_WEBSOCKET_PING) return;
	seen->pings++;
	for (unsigned i = 0; i < ws->control_size; i++) seen->sum = seen->sum * 31 + ws->control[i];
}

static struct seen
read_in_parts(const uint8_t *data, size_t size, size_t part)
{
	struct seen seen = { 0 };
	struct fm_websocket ws;
	size_t used;

	fm_websocket_init(&ws, BUDGET);
	while (size > 0) {
		size_t now = part < size ? part : size;

		note(&seen, &ws, fm_websocket_read(&ws, data, now, &used));
		CHECK(used <= now);
		CHECK(used > 0 || seen.last != FM_WEBSOCKET_MORE);
		data += used;
		size -= used;
		seen.used += used;
		if (seen.last == FM_WEBSOCKET_CLOSE || seen.last == FM_WEBSOCKET_FAULT) break;
	}
	CHECK(seen.used <= BUDGET);
	return seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, parts;

	if (size < 2) return 0;
	whole = read_in_parts(data + 1, size - 1, SIZE_MAX);
	parts = read_in_parts(data + 1, size - 1, data[0] % 32 + 1U);
	CHECK(whole.pings == parts.pings && whole.pongs == parts.pongs && whole.sum == parts.sum);
	CHECK(whole.code == parts.code && whole.used == parts.used);
	return 0;
}
