/* frame.h - frames and who may send what. Pure: bytes in, verdict out; the loop does the I/O.
 * A frame is 4 bytes of length, big endian, then one Envelope of that many bytes. */
#ifndef FM_WIRE_FRAME_H
#define FM_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "schema/envelope.pb-c.h"

#define FM_WIRE_MAJOR 1
#define FM_WIRE_MINOR 0
#define FM_FRAME_HEAD 4

/* The longest frame that a peer in this role may send, in bytes (messages.def). FERMATA__ROLE__ROLE_NONE is
 * a peer that has not said Hello. */
size_t fm_frame_limit(Fermata__Role role);

/* Reads a head. 0 and *ret_size (1..limit), or -1: too large for the role, or empty. */
int fm_frame_head(const uint8_t head[FM_FRAME_HEAD], Fermata__Role role, size_t *ret_size,
		  struct fm_err *err);

/* Unpacks a frame's body that came from a peer in this role. NULL with err: not an Envelope, a body
 * we do not know, or one that this role may not send. Free with fm_envelope_free(). */
Fermata__Envelope *fm_frame_unpack(const uint8_t *body, size_t size, Fermata__Role role,
				   struct fm_err *err);
void fm_envelope_free(Fermata__Envelope *envelope);
void fm_envelope_freep(Fermata__Envelope **envelope);

/* Packs head and envelope into fresh memory. Never NULL. */
uint8_t *fm_frame_pack(const Fermata__Envelope *envelope, size_t *ret_size);

/* Name of a body as in messages.def, for logs. */
const char *fm_body_name(int body_case);

#endif
