/*
 * The frames of a websocket (RFC 6455) as a server that only waits reads and
 * writes them, pure: no nginx, no clock, no memory of its own.
 *
 * What a client says is counted and thrown away as it comes; nothing is kept
 * but the payload of a control frame.
 */

#ifndef FM_WEBSOCKET_H
#define FM_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FM_WEBSOCKET_CONTROL_MAX 125
#define FM_WEBSOCKET_CLIENT_HEAD 14 /* 2, length of 8, mask of 4 */
#define FM_WEBSOCKET_SERVER_HEAD 4  /* 2, length of 2; never a mask */
#define FM_WEBSOCKET_PAYLOAD_MAX 65535

enum fm_websocket_opcode {
	FM_WEBSOCKET_OP_CONTINUATION = 0x0,
	FM_WEBSOCKET_OP_TEXT = 0x1,
	FM_WEBSOCKET_OP_BINARY = 0x2,
	FM_WEBSOCKET_OP_CLOSE = 0x8,
	FM_WEBSOCKET_OP_PING = 0x9,
	FM_WEBSOCKET_OP_PONG = 0xa
};

/* Why a websocket is closed, RFC 6455 section 7.4 and the registry after it. */
enum fm_websocket_code {
	FM_WEBSOCKET_NORMAL = 1000,
	FM_WEBSOCKET_GOING_AWAY = 1001,
	FM_WEBSOCKET_PROTOCOL = 1002,
	FM_WEBSOCKET_POLICY = 1008,
	FM_WEBSOCKET_TOO_BIG = 1009,
	FM_WEBSOCKET_RESTART = 1012
};

enum fm_websocket_event {
	FM_WEBSOCKET_MORE = 0, /* everything is read */
	FM_WEBSOCKET_PING,     /* wants control[0..control_size) back */
	FM_WEBSOCKET_PONG,
	FM_WEBSOCKET_CLOSE, /* wants code back */
	FM_WEBSOCKET_FAULT  /* must be closed, because of code */
};

struct fm_websocket {
	uint64_t left;	 /* of the payload of the current frame */
	uint32_t budget; /* bytes that may still come */
	uint16_t code;
	uint8_t head[FM_WEBSOCKET_CLIENT_HEAD];
	uint8_t head_size; /* so much of it is here */
	uint8_t head_want;
	uint8_t control_size;
	bool in_payload;
	bool in_message; /* the last data frame was not the end of one */
	uint8_t control[FM_WEBSOCKET_CONTROL_MAX];
};

/* budget: see fm_websocket_allow(). */
void fm_websocket_init(struct fm_websocket *ws, uint32_t budget);

/* So many bytes may come from now on, heads included; more is a fault. */
void fm_websocket_allow(struct fm_websocket *ws, uint32_t budget);

/*
 * Reads until something is to be done, or until there is no more; *ret_used is
 * how much was read.  After a close or a fault nothing may be read.
 */
enum fm_websocket_event fm_websocket_read(struct fm_websocket *ws, const uint8_t *data, size_t size,
					  size_t *ret_used);

/*
 * The head of a whole frame with a payload of size bytes, at most
 * FM_WEBSOCKET_PAYLOAD_MAX; dst has room for FM_WEBSOCKET_SERVER_HEAD.  The
 * length of the head is returned.
 */
size_t fm_websocket_head(uint8_t *dst, enum fm_websocket_opcode opcode, size_t size);

/* A whole close frame without a reason: 4 bytes. */
size_t fm_websocket_close(uint8_t *dst, unsigned code);

#endif /* FM_WEBSOCKET_H */
