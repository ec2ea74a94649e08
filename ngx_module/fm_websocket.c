
/*
 * The frames of a websocket.  See fm_websocket.h.
 */

#include <string.h>

#include "fm_websocket.h"

#define FM_WEBSOCKET_FIN 0x80
#define FM_WEBSOCKET_RESERVED 0x70
#define FM_WEBSOCKET_OPCODE 0x0f
#define FM_WEBSOCKET_MASKED 0x80
#define FM_WEBSOCKET_MASK_SIZE 4

/* lengths of the second byte that say that the length follows */
#define FM_WEBSOCKET_LENGTH 0x7f
#define FM_WEBSOCKET_LENGTH_2 126
#define FM_WEBSOCKET_LENGTH_8 127

void
fm_websocket_init(struct fm_websocket *ws, uint32_t budget)
{
	memset(ws, 0, sizeof(struct fm_websocket));

	ws->budget = budget;
	ws->head_want = 2;
}

void
fm_websocket_allow(struct fm_websocket *ws, uint32_t budget)
{
	/* what has been announced was within the old one */

	ws->budget = budget;
}

static enum fm_websocket_event
fault(struct fm_websocket *ws, enum fm_websocket_code code)
{
	ws->code = (uint16_t)code;

	return FM_WEBSOCKET_FAULT;
}

static bool
is_control(uint8_t opcode)
{
	return (opcode & 0x8) != 0;
}

/* The first two bytes: what they forbid is a fault at once. */
static enum fm_websocket_event
read_first(struct fm_websocket *ws)
{
	uint8_t first, length, opcode;

	first = ws->head[0];
	opcode = first & FM_WEBSOCKET_OPCODE;
	length = ws->head[1] & FM_WEBSOCKET_LENGTH;

	if ((first & FM_WEBSOCKET_RESERVED) != 0 || (ws->head[1] & FM_WEBSOCKET_MASKED) == 0) {
		return fault(ws, FM_WEBSOCKET_PROTOCOL);
	}

	if (is_control(opcode)) {
		if (opcode > FM_WEBSOCKET_OP_PONG || (first & FM_WEBSOCKET_FIN) == 0 ||
		    length > FM_WEBSOCKET_CONTROL_MAX) {
			return fault(ws, FM_WEBSOCKET_PROTOCOL);
		}

		ws->control_size = 0;

	} else {
		/* a new message begins, and only an unfinished one goes on */

		if (opcode > FM_WEBSOCKET_OP_BINARY ||
		    (opcode == FM_WEBSOCKET_OP_CONTINUATION) != ws->in_message) {
			return fault(ws, FM_WEBSOCKET_PROTOCOL);
		}

		ws->in_message = (first & FM_WEBSOCKET_FIN) == 0;
	}

	ws->head_want = 2 + FM_WEBSOCKET_MASK_SIZE;

	if (length == FM_WEBSOCKET_LENGTH_2) {
		ws->head_want += 2;

	} else if (length == FM_WEBSOCKET_LENGTH_8) {
		ws->head_want += 8;
	}

	return FM_WEBSOCKET_MORE;
}

/* The whole head: the length must be written in its shortest form. */
static enum fm_websocket_event
read_length(struct fm_websocket *ws)
{
	uint8_t length;
	unsigned i, size;

	length = ws->head[1] & FM_WEBSOCKET_LENGTH;
	size = ws->head_want - 2U - FM_WEBSOCKET_MASK_SIZE;
	ws->left = size == 0 ? length : 0;

	for (i = 0; i < size; i++) {
		ws->left = ws->left << 8 | ws->head[2 + i];
	}

	if ((length == FM_WEBSOCKET_LENGTH_2 && ws->left < FM_WEBSOCKET_LENGTH_2) ||
	    (length == FM_WEBSOCKET_LENGTH_8 && ws->left <= UINT16_MAX) || ws->left >> 63 != 0) {
		return fault(ws, FM_WEBSOCKET_PROTOCOL);
	}

	/* the last byte of the head is not off the budget yet */

	if (ws->left >= ws->budget) {
		return fault(ws, FM_WEBSOCKET_TOO_BIG);
	}

	ws->in_payload = true;

	return FM_WEBSOCKET_MORE;
}

static bool
is_code(unsigned code)
{
	/* 1004 to 1006 and 1015 are never sent */

	return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
	       (code >= 3000 && code <= 4999);
}

/* A frame is complete. */
static enum fm_websocket_event
finish(struct fm_websocket *ws)
{
	uint8_t opcode;

	opcode = ws->head[0] & FM_WEBSOCKET_OPCODE;

	ws->head_size = 0;
	ws->head_want = 2;
	ws->in_payload = false;

	switch (opcode) {
	case FM_WEBSOCKET_OP_PING:
		return FM_WEBSOCKET_PING;

	case FM_WEBSOCKET_OP_PONG:
		return FM_WEBSOCKET_PONG;

	case FM_WEBSOCKET_OP_CLOSE:
		break;

	default:
		return FM_WEBSOCKET_MORE;
	}

	if (ws->control_size == 0) {
		ws->code = FM_WEBSOCKET_NORMAL;
		return FM_WEBSOCKET_CLOSE;
	}

	ws->code = (uint16_t)(ws->control[0] << 8 | ws->control[1]);

	if (ws->control_size < 2 || !is_code(ws->code)) {
		return fault(ws, FM_WEBSOCKET_PROTOCOL);
	}

	return FM_WEBSOCKET_CLOSE;
}

/* Bytes of a payload; control frames are unmasked and kept. */
static size_t
read_payload(struct fm_websocket *ws, const uint8_t *data, size_t size)
{
	size_t i, used;
	const uint8_t *mask;

	used = size < ws->left ? size : (size_t)ws->left;

	if (is_control(ws->head[0] & FM_WEBSOCKET_OPCODE)) {
		mask = ws->head + ws->head_want - FM_WEBSOCKET_MASK_SIZE;

		for (i = 0; i < used; i++, ws->control_size++) {
			ws->control[ws->control_size] =
				data[i] ^ mask[ws->control_size % FM_WEBSOCKET_MASK_SIZE];
		}
	}

	ws->left -= used;

	return used;
}

static enum fm_websocket_event
read_head(struct fm_websocket *ws, uint8_t byte)
{
	ws->head[ws->head_size++] = byte;

	if (ws->head_size < ws->head_want) {
		return FM_WEBSOCKET_MORE;
	}

	/* two bytes say how long the head is: six at least */

	return ws->head_want == 2 ? read_first(ws) : read_length(ws);
}

enum fm_websocket_event
fm_websocket_read(struct fm_websocket *ws, const uint8_t *data, size_t size, size_t *ret_used)
{
	size_t part, used;
	enum fm_websocket_event event;

	for (event = FM_WEBSOCKET_MORE, used = 0; event == FM_WEBSOCKET_MORE;) {
		if (ws->in_payload && ws->left == 0) {
			event = finish(ws);
			continue;
		}

		if (used == size) {
			break;
		}

		if (ws->budget == 0) {
			event = fault(ws, FM_WEBSOCKET_POLICY);
			break;
		}

		if (ws->in_payload) {
			part = size - used < ws->budget ? size - used : ws->budget;
			part = read_payload(ws, data + used, part);

		} else {
			event = read_head(ws, data[used]);
			part = 1;
		}

		used += part;
		ws->budget -= (uint32_t)part;
	}

	*ret_used = used;

	return event;
}

size_t
fm_websocket_head(uint8_t *dst, enum fm_websocket_opcode opcode, size_t size)
{
	dst[0] = (uint8_t)(FM_WEBSOCKET_FIN | opcode);

	if (size < FM_WEBSOCKET_LENGTH_2) {
		dst[1] = (uint8_t)size;
		return 2;
	}

	dst[1] = FM_WEBSOCKET_LENGTH_2;
	dst[2] = (uint8_t)(size >> 8);
	dst[3] = (uint8_t)size;

	return FM_WEBSOCKET_SERVER_HEAD;
}

size_t
fm_websocket_close(uint8_t *dst, unsigned code)
{
	size_t size;

	size = fm_websocket_head(dst, FM_WEBSOCKET_OP_CLOSE, 2);

	dst[size++] = (uint8_t)(code >> 8);
	dst[size++] = (uint8_t)code;

	return size;
}
