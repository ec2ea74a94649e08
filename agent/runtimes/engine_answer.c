#include "agent/runtimes/engine_answer.h"

#include <stdlib.h>
#include <string.h>

#include "agent/runtimes/engine.h"
#include "base/check.h"

static int
keep(struct ag_reading *r, const char *bytes, size_t len)
{
	if (len > AG_ENGINE_MOST - r->len)
		return fm_fail(&r->err, FM_ERR_LIMIT, 0, "the engine's answer is too long");
	if (r->len + len + 1 > r->size) {
		size_t size = 2 * (r->len + len + 1);
		char *grown = realloc(r->body, size);

		CHECK(grown);
		r->body = grown;
		r->size = size;
	}
	memcpy(r->body + r->len, bytes, len);
	r->len += len;
	r->body[r->len] = '\0';
	return 0;
}

static int
on_body(http_parser *parser, const char *bytes, size_t len)
{
	struct ag_reading *r = parser->data;

	if (r->data && parser->status_code >= 200 && parser->status_code < 300)
		return r->data(r->arg, bytes, len, &r->err);
	return keep(r, bytes, len);
}

static int
on_whole(http_parser *parser)
{
	struct ag_reading *r = parser->data;
	unsigned status = parser->status_code;

	/* 100 and the like: the answer is still to come. */
	if (status >= 100 && status < 200 && status != HTTP_STATUS_SWITCHING_PROTOCOLS) return 0;
	r->is_whole = true;
	r->status = status;
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings settings = { .on_body = on_body,
					       .on_message_complete = on_whole };

void
ag_reading_begin(struct ag_reading *r,
		 int (*data)(void *arg, const char *bytes, size_t len, struct fm_err *err),
		 void *arg)
{
	http_parser_init(&r->parser, HTTP_RESPONSE);
	r->parser.data = r;
	r->data = data;
	r->arg = arg;
}

void
ag_reading_free(struct ag_reading *r)
{
	/* A container's environment may be in it. */
	if (r->body) explicit_bzero(r->body, r->len);
	free(r->body);
	r->body = NULL;
}

int
ag_reading_add(struct ag_reading *r, const char *bytes, size_t len, struct fm_err *err)
{
	enum http_errno fault;

	(void)http_parser_execute(&r->parser, &settings, bytes, len);
	if (r->is_whole) return 1;
	fault = HTTP_PARSER_ERRNO(&r->parser);
	if (fault == HPE_OK) return 0;
	if (fault != HPE_CB_body)
		return fm_fail(err, FM_ERR_PEER, 0, "the engine's answer is not HTTP: %s",
			       http_errno_description(fault));
	*err = r->err;
	return -1;
}

int
ag_reading_end(struct ag_reading *r, struct fm_err *err)
{
	/* To the parser no bytes are the end: a body may go on until there. */
	(void)http_parser_execute(&r->parser, &settings, "", 0);
	if (r->is_whole) return 1;
	return fm_fail(err, FM_ERR_PEER, 0,
		       r->parser.status_code ? "the engine's answer is cut off"
					     : "the engine has ended the connection unanswered");
}
