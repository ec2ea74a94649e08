#include "loop/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/text.h"

#define UNIX_PREFIX "unix:"
#define SPACES " \t"

bool
fm_address_next(const char **list, char *dst, size_t size)
{
	size_t n;

	*list += strspn(*list, SPACES);
	n = strcspn(*list, SPACES);
	if (n == 0 || n >= size) return false;
	memcpy(dst, *list, n);
	dst[n] = '\0';
	*list += n;
	return true;
}

bool
fm_address_is_unix(const char *text)
{
	return strncmp(text, UNIX_PREFIX, sizeof UNIX_PREFIX - 1) == 0;
}

static int
resolve_unix(const char *path, struct fm_address *ret, struct fm_err *err)
{
	struct sockaddr_un *sa = (struct sockaddr_un *)&ret->sa;

	if (path[0] != '/') return fm_fail(err, FM_ERR_CONFIG, 0, "%s is not absolute", path);
	sa->sun_family = AF_UNIX;
	if (!FM_COPY(sa->sun_path, path))
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s is longer than a socket's path may be",
			       path);
	ret->size = sizeof *sa;
	return 0;
}

static bool
is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	if (sa->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
	return false;
}

/* host and port of text, brackets taken off. */
static bool
split(const char *text, char *host, size_t size, const char **ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (n == 0) return false;
	if (text[0] == '[') {
		if (n < 3 || text[n - 1] != ']') return false;
		text++;
		n -= 2;
	}
	if (n >= size) return false;
	memcpy(host, text, n);
	host[n] = '\0';
	*ret_port = colon + 1;
	return true;
}

static void
free_info(struct addrinfo **info)
{
	if (*info) freeaddrinfo(*info);
}

int
fm_address_resolve(const char *text, unsigned flags, struct fm_address *ret, struct fm_err *err)
{
	struct addrinfo want = { .ai_family = AF_UNSPEC,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	_cleanup_(free_info) struct addrinfo *info = NULL;
	char host[FM_ADDRESS_SIZE];
	unsigned long long number;
	const char *port;
	int rc;

	memset(ret, 0, sizeof *ret);
	if (fm_address_is_unix(text)) return resolve_unix(text + sizeof UNIX_PREFIX - 1, ret, err);
	if (!split(text, host, sizeof host, &port) ||
	    !fm_parse_u64(port, !(flags & FM_ADDRESS_PASSIVE), 65535, &number))
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s is not host:port", text);
	rc = getaddrinfo(host, port, &want, &info);
	if (rc == EAI_NONAME) {
		want.ai_flags = AI_NUMERICSERV;
		rc = getaddrinfo(host, port, &want, &info);
	}
	if (rc != 0) return fm_fail(err, FM_ERR_IO, 0, "resolve %s: %s", host, gai_strerror(rc));
	if (!(flags & FM_ADDRESS_ANYWHERE) && !is_loopback(info->ai_addr))
		return fm_fail(
			err, FM_ERR_CONFIG, 0,
			"%s is not a loopback address: plain TCP stays on this host; for TLS "
			"see [tls] in the manual, and: fermata help cert init",
			text);
	memcpy(&ret->sa, info->ai_addr, info->ai_addrlen);
	ret->size = info->ai_addrlen;
	return 0;
}

char *
fm_address_format(const struct sockaddr *sa, char *dst, size_t size)
{
	char host[64], port[8];
	socklen_t sa_size = sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						      : sizeof(struct sockaddr_in);

	if (sa->sa_family == AF_UNIX ||
	    getnameinfo(sa, sa_size, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		(void)fm_copy(dst, size, "unix");
		return dst;
	}
	(void)fm_format(dst, size, sa->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return dst;
}
