#include "coordinator/store/dbjob/link.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "wire/ask.h"

#define CONNECT_MS 3000

/* The server's words in one line, without libpq's prefix and its hints. */
static void
tidy(char *dst, size_t size, const char *message)
{
	size_t n = 0;

	for (; *message && n + 1 < size; message++) {
		bool is_space = isspace((unsigned char)*message);

		if (is_space && (n == 0 || dst[n - 1] == ' ')) continue;
		dst[n++] = is_space ? ' ' : *message;
	}
	while (n > 0 && dst[n - 1] == ' ') n--;
	dst[n] = '\0';
}

/* A refusal to connect has no result to ask: in the verbose form its text is
 * "...: FATAL:  28000: role ... \n LOCATION:  InitializeSessionUserId, ...", in any language. */
static void
read_refusal(struct db_link *link, const char *message)
{
	const char *at = message;

	while ((at = strstr(at, ":  "))) {
		size_t n = strspn(at += 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if (n == 5 && at[5] == ':') {
			memcpy(link->sqlstate, at, 5);
			link->sqlstate[5] = '\0';
			break;
		}
	}
	link->is_fenced = db_is_state(link, "28000") &&
			  strstr(message, "InitializeSessionUserId") &&
			  !strstr(message, "does not exist");
	if (strstr(message, "is not permitted to log in")) link->is_fenced = true;
}

/* People read the words; the state has a field of its own. */
static void
drop_state(char *text, const char *state)
{
	char shown[DB_STATE_SIZE + 4];
	char *at;

	FM_FORMAT(shown, " %s: ", state);
	at = fm_is_empty(state) ? NULL : strstr(text, shown);
	if (at) memmove(at, at + strlen(shown) - 1, strlen(at + strlen(shown) - 1) + 1);
}

static int
refuse(struct db_link *link, struct fm_err *err)
{
	char text[FM_TEXT_SIZE];
	char *location;

	tidy(text, sizeof text, PQerrorMessage(link->conn));
	read_refusal(link, PQerrorMessage(link->conn));
	location = strstr(text, " LOCATION: ");
	if (location) *location = '\0';
	drop_state(text, link->sqlstate);
	db_link_close(link);
	return fm_fail(err, FM_ERR_DATABASE, 0, "%s", text);
}

/* PQconnectdb() with a limit in milliseconds, and with the SQLSTATE in its refusals. */
static int
come_up(struct db_link *link, struct fm_err *err)
{
	int64_t end = fm_mono_now().ms + CONNECT_MS;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (status != PGRES_POLLING_OK) {
		struct pollfd fd = { .fd = PQsocket(link->conn) };
		int64_t left = end - fm_mono_now().ms;
		int n;

		if (status == PGRES_POLLING_FAILED) return refuse(link, err);
		fd.events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		n = left > 0 ? poll(&fd, 1, (int)left) : 0;
		if (n < 0 && errno != EINTR) return fm_fail(err, FM_ERR_IO, errno, "poll");
		if (n == 0) {
			const char *host = PQhost(link->conn);

			fm_fail(err, FM_ERR_TIMEOUT, 0, "the database server %s:%s does not answer",
				host ? host : "", PQport(link->conn));
			db_link_close(link);
			return -1;
		}
		status = PQconnectPoll(link->conn);
	}
	PQsetErrorVerbosity(link->conn, PQERRORS_DEFAULT);
	return 0;
}

static void
drop_notice(void *arg, const PGresult *result)
{
	(void)arg, (void)result;
}

int
db_link_open(struct db_link *link, const char *conninfo, const char *database, struct fm_err *err)
{
	/* The first dbname is taken apart as a conninfo, a later one replaces what it named. */
	const char *const keys[] = { "fallback_application_name", "dbname",
				     fm_is_empty(database) ? NULL : "dbname", NULL };
	const char *const values[] = { "fermata-dbjob", conninfo, database, NULL };

	*link = (struct db_link){ .conn = PQconnectStartParams(keys, values, 1) };
	if (!link->conn) return fm_fail(err, FM_ERR_IO, ENOMEM, "connect");
	PQsetErrorVerbosity(link->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(link->conn, drop_notice, NULL);
	if (PQstatus(link->conn) == CONNECTION_BAD) return refuse(link, err);
	return come_up(link, err);
}

void
db_link_close(struct db_link *link)
{
	PQfinish(link->conn);
	link->conn = NULL;
}

void
db_result_free(PGresult **result)
{
	PQclear(*result);
	*result = NULL;
}

/* Keeps a good result; of a bad one, what the server said. */
static PGresult *
judge(struct db_link *link, PGresult *result, struct fm_err *err)
{
	ExecStatusType status = PQresultStatus(result);
	const char *said, *more;
	char text[FM_TEXT_SIZE];

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY)
		return result;
	FM_COPY(link->sqlstate, PQresultErrorField(result, PG_DIAG_SQLSTATE));
	said = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	more = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	tidy(text, sizeof text, said ? said : PQerrorMessage(link->conn));
	fm_fail(err, FM_ERR_DATABASE, 0, "%s%s%s", text, more ? ": " : "", more ? more : "");
	PQclear(result);
	return NULL;
}

PGresult *
db_query(struct db_link *link, struct fm_err *err, const char *sql)
{
	return judge(link, PQexec(link->conn, sql), err);
}

PGresult *
db_query_with(struct db_link *link, struct fm_err *err, const char *sql, int count,
	      const char *const *values)
{
	return judge(link, PQexecParams(link->conn, sql, count, NULL, values, NULL, NULL, 0), err);
}

PGresult *
db_take(struct db_link *link, struct fm_err *err)
{
	PGresult *last = NULL, *next;

	while ((next = PQgetResult(link->conn))) {
		PQclear(last);
		last = next;
	}
	return judge(link, last, err);
}

int
db_run(struct db_link *link, struct fm_err *err, const char *fmt, ...)
{
	_cleanup_free_ char *sql = NULL;
	PGresult *result;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&sql, fmt, args) < 0) sql = NULL;
	va_end(args);
	if (!sql) return fm_fail(err, FM_ERR_IO, ENOMEM, "make a statement");
	result = db_query(link, err, sql);
	if (!result) return -1;
	PQclear(result);
	return 0;
}

const char *
db_field(const PGresult *result, int row, int column)
{
	return row < PQntuples(result) ? PQgetvalue(result, row, column) : "";
}

unsigned long long
db_number(const PGresult *result, int row, int column)
{
	return strtoull(db_field(result, row, column), NULL, 10);
}

bool
db_truth(const PGresult *result, int row, int column)
{
	return db_field(result, row, column)[0] == 't';
}

bool
db_is_state(const struct db_link *link, const char *sqlstate)
{
	return fm_is_equal(link->sqlstate, sqlstate);
}

static void
conninfo_free(PQconninfoOption **options)
{
	PQconninfoFree(*options);
}

char *
db_conninfo_value(const char *conninfo, const char *keyword, char *dst, size_t size)
{
	_cleanup_(conninfo_free) PQconninfoOption *options = PQconninfoParse(conninfo, NULL);

	dst[0] = '\0';
	for (PQconninfoOption *o = options; o && o->keyword; o++)
		if (fm_is_equal(o->keyword, keyword)) fm_copy(dst, size, o->val);
	return dst;
}
