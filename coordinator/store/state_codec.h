/* state_codec.h - the durable state to bytes and back (proto/schema/state.proto). */
#ifndef CO_STORE_STATE_CODEC_H
#define CO_STORE_STATE_CODEC_H

#include "base/err.h"
#include "coordinator/run/state.h"

/* Fresh memory, never NULL; the caller frees it. */
uint8_t *co_state_pack(const struct co_state *state, size_t *ret_size);

/* -1: not a state, or one of a version that this program does not know. */
int co_state_unpack(const uint8_t *bytes, size_t size, struct co_state *ret, struct fm_err *err);

#endif
