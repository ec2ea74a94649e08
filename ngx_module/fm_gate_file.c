
/*
 * Files of the state directory.  See fm_gate_file.h.
 */

#include <string.h>
#include <zlib.h>

#include "fm_gate_file.h"

#include "schema/gate.pb-c.h"
#include "wire/convert.h"

#define FM_GATE_FILE_MAGIC UINT32_C(0x464d4753)
#define FM_GATE_FILE_FORMAT 1
#define FM_GATE_FILE_HEAD 12
#define FM_GATE_FILE_CRC 4

static const char *const verbs[] = { "", "close", "open", "resume", "status" };

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void
put_number(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)(n >> 24);
	p[1] = (uint8_t)(n >> 16);
	p[2] = (uint8_t)(n >> 8);
	p[3] = (uint8_t)n;
}

static uint32_t
get_number(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
checksum(const uint8_t *data, size_t size)
{
	return (uint32_t)crc32(0, data, (uInt)size);
}

size_t
fm_gate_file_write(uint8_t *dst, const struct fm_gate_ask *ask)
{
	size_t size;

	if (ask->drained_count > FM_NODES_MAX) {
		return 0;
	}

	size = fm_gate_ask_put(ask, dst + FM_GATE_FILE_HEAD,
			       FM_GATE_FILE_MAX - FM_GATE_FILE_HEAD - FM_GATE_FILE_CRC);

	if (size == 0) {
		return 0;
	}

	put_number(dst, FM_GATE_FILE_MAGIC);
	put_number(dst + 4, FM_GATE_FILE_FORMAT);
	put_number(dst + 8, (uint32_t)size);

	size += FM_GATE_FILE_HEAD;
	put_number(dst + size, checksum(dst, size));

	return size + FM_GATE_FILE_CRC;
}

/* The packed ask in a whole file; NULL: it is none. */
static const uint8_t *
find_body(const uint8_t *data, size_t size, size_t *ret_size)
{
	size_t body;

	if (size < FM_GATE_FILE_HEAD + FM_GATE_FILE_CRC || get_number(data) != FM_GATE_FILE_MAGIC ||
	    get_number(data + 4) != FM_GATE_FILE_FORMAT) {
		return NULL;
	}

	body = get_number(data + 8);

	if (body != size - FM_GATE_FILE_HEAD - FM_GATE_FILE_CRC) {
		return NULL;
	}

	size -= FM_GATE_FILE_CRC;

	if (get_number(data + size) != checksum(data, size)) {
		return NULL;
	}

	*ret_size = body;

	return data + FM_GATE_FILE_HEAD;
}

bool
fm_gate_file_read(const uint8_t *data, size_t size, struct fm_gate_ask *ret)
{
	bool good;
	size_t packed;
	const uint8_t *body;
	Fermata__GateAsk *msg;

	memset(ret, 0, sizeof(*ret));

	body = find_body(data, size, &packed);

	if (body == NULL) {
		return false;
	}

	msg = fermata__gate_ask__unpack(NULL, packed, body);

	if (msg == NULL) {
		return false;
	}

	/* no rule at all was never taken */

	good = fm_gate_ask_from(msg, ret, NULL) == 0 && ret->mode != FM_GATE_NONE;

	fermata__gate_ask__free_unpacked(msg, NULL);

	if (!good) {
		memset(ret, 0, sizeof(*ret));
	}

	return good;
}

/* Behind a prefix of name; NULL: it begins otherwise. */
static const char *
skip(const char *name, const char *prefix)
{
	size_t size;

	size = strlen(prefix);

	return strncmp(name, prefix, size) == 0 ? name + size : NULL;
}

static bool
is_id(const char *id)
{
	return strlen(id) == FM_GATE_REQUEST_ID &&
	       strspn(id, "0123456789abcdef") == FM_GATE_REQUEST_ID;
}

bool
fm_gate_request_read(const char *name, struct fm_gate_request *ret)
{
	unsigned i;
	const char *p, *rest;

	memset(ret, 0, sizeof(*ret));

	p = skip(name, "request.");

	for (i = FM_GATE_VERB_CLOSE; p && i < VERBS; i++) {
		rest = skip(p, verbs[i]);

		if (rest && *rest == '.') {
			break;
		}
	}

	if (p == NULL || i == VERBS) {
		return false;
	}

	p = rest + 1;
	rest = skip(p, "force.");

	if (!is_id(rest ? rest : p)) {
		return false;
	}

	ret->verb = (enum fm_gate_verb)i;
	ret->force = rest != NULL;
	memcpy(ret->id, rest ? rest : p, sizeof(ret->id));

	return true;
}

const char *
fm_gate_verb_name(enum fm_gate_verb verb)
{
	return (unsigned)verb < VERBS ? verbs[verb] : "";
}
