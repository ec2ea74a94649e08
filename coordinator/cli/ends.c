/* ends.c - how a command ends when the coordinator does not say it. */
#include "coordinator/cli/ends.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/text.h"

#define STAYS "nodes and gates stay as they are"

void
co_end_say(struct co_end *ret, Fermata__ExitCode code, const char *text, const char *next)
{
	Fermata__End init = FERMATA__END__INIT;

	ret->end = init;
	ret->end.code = code;
	if (text != ret->text) FM_COPY(ret->text, text);
	if (next != ret->next) FM_COPY(ret->next, next);
	ret->end.text = ret->text;
	ret->end.next = ret->next;
}

static void
finish(struct co_end *ret, Fermata__ExitCode code, uint64_t run)
{
	co_end_say(ret, code, ret->text, ret->next);
	ret->end.run = run;
}

/* Why nobody answers there: errno of a connect, 0 when it works (again). */
static int
try_socket(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (fd < 0) return errno;
	if (!FM_COPY(at.sun_path, path)) return ENAMETOOLONG;
	return connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 ? 0 : errno;
}

void
co_end_unreachable(struct co_end *ret, const struct co_plight *plight)
{
	switch (try_socket(plight->socket)) {
	case ENOENT:
		FM_FORMAT(ret->text, "no coordinator at %s: there is no such socket; " STAYS,
			  plight->socket);
		FM_COPY(ret->next, "systemctl start fermata-coordinator, or --socket PATH");
		break;
	case ECONNREFUSED:
		FM_FORMAT(ret->text, "the coordinator does not run: nobody listens at %s; " STAYS,
			  plight->socket);
		FM_COPY(ret->next, "systemctl start fermata-coordinator");
		break;
	case EACCES:
	case EPERM:
		FM_FORMAT(ret->text, "you may not open %s", plight->socket);
		FM_COPY(ret->next, "the same as root, or as a member of the socket's group");
		break;
	default:
		FM_FORMAT(ret->text, "the coordinator at %s does not talk to us: %s",
			  plight->socket, plight->why);
		FM_COPY(ret->next, "journalctl -u fermata-coordinator -n 20");
	}
	finish(ret, FERMATA__EXIT_CODE__EXIT_CODE_FAILED, 0);
}

void
co_end_unknown(struct co_end *ret, const struct co_plight *plight)
{
	FM_FORMAT(ret->text,
		  "the connection broke before the answer: whether '%s' was taken up is "
		  "not known",
		  plight->parsed->command->name);
	FM_COPY(ret->next, "fermata status");
	finish(ret, FERMATA__EXIT_CODE__EXIT_CODE_FAILED, 0);
}

void
co_end_not_begun(struct co_end *ret, const struct co_plight *plight)
{
	char typed[FM_TEXT_SIZE];

	FM_COPY(ret->text, "the coordinator was restarted before it took up the command: nothing "
			   "was begun");
	FM_FORMAT(ret->next, "fermata %s", co_parsed_typed(plight->parsed, typed, sizeof(typed)));
	finish(ret, FERMATA__EXIT_CODE__EXIT_CODE_FAILED, 0);
}

static void
attach_next(struct co_end *ret, uint64_t run)
{
	FM_FORMAT(ret->next, "fermata attach %" PRIu64, run);
}

void
co_end_timeout(struct co_end *ret, const struct co_plight *plight)
{
	char waited[32];

	fm_format_duration(waited, sizeof(waited), plight->waited_ms);
	if (plight->run && plight->is_lost) {
		FM_FORMAT(ret->text,
			  "the coordinator has been away for %s; run %" PRIu64 " stands "
			  "where it is and goes on when it is back",
			  waited, plight->run);
		FM_FORMAT(ret->next,
			  "systemctl start fermata-coordinator, then fermata attach "
			  "%" PRIu64,
			  plight->run);
	} else if (plight->run) {
		FM_FORMAT(ret->text, "%s are over; run %" PRIu64 " goes on", waited, plight->run);
		attach_next(ret, plight->run);
	} else if (!plight->was_up) {
		FM_FORMAT(ret->text, "no answer from the coordinator at %s within %s; " STAYS,
			  plight->socket, waited);
		FM_COPY(ret->next, "journalctl -u fermata-coordinator -n 20");
	} else if (plight->parsed->command->right == CO_RIGHT_READ) {
		FM_FORMAT(ret->text, "no answer within %s", waited);
		FM_COPY(ret->next, "the same again, with a longer --timeout");
	} else {
		FM_FORMAT(ret->text, "no answer within %s: whether '%s' was taken up is not known",
			  waited, plight->parsed->command->name);
		FM_COPY(ret->next, "fermata status");
	}
	finish(ret,
	       plight->run ? FERMATA__EXIT_CODE__EXIT_CODE_DETACHED
			   : FERMATA__EXIT_CODE__EXIT_CODE_FAILED,
	       plight->run);
}

void
co_end_interrupted(struct co_end *ret, const struct co_plight *plight)
{
	const struct co_command *command = plight->parsed->command;
	bool reads = command->right == CO_RIGHT_READ;

	FM_COPY(ret->text, "");
	FM_COPY(ret->next, "");
	if (plight->run) {
		FM_FORMAT(ret->text, "detached; run %" PRIu64 " goes on", plight->run);
		attach_next(ret, plight->run);
		finish(ret, FERMATA__EXIT_CODE__EXIT_CODE_DETACHED, plight->run);
		return;
	}
	if (!reads) {
		FM_FORMAT(ret->text, "interrupted; '%s' may have been taken up", command->name);
		FM_COPY(ret->next, "fermata status");
	}
	finish(ret,
	       reads ? FERMATA__EXIT_CODE__EXIT_CODE_FAILED
		     : FERMATA__EXIT_CODE__EXIT_CODE_DETACHED,
	       0);
}

void
co_end_detached(struct co_end *ret, const struct co_plight *plight)
{
	FM_FORMAT(ret->text, "run %" PRIu64 " has begun and goes on", plight->run);
	attach_next(ret, plight->run);
	finish(ret, FERMATA__EXIT_CODE__EXIT_CODE_DETACHED, plight->run);
}
