#include "loop/tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "loop/peer_internal.h"

#define HOST_FLAGS (X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

struct fm_tls {
	SSL_CTX *ctx;
};

/* The first of OpenSSL's errors: those after it are its consequences. */
static int
fail(struct fm_err *err, const char *what, const char *path)
{
	unsigned long code = ERR_get_error();
	const char *reason = ERR_reason_error_string(code);

	if (ERR_SYSTEM_ERROR(code)) reason = strerror(ERR_GET_REASON(code));
	ERR_clear_error();
	return fm_fail(err, FM_ERR_CONFIG, 0, "%s %s: %s", what, path,
		       reason ? reason : "OpenSSL does not say why");
}

static int
check_key(const char *path, struct fm_err *err)
{
	struct stat st;

	if (stat(path, &st) < 0) return fm_fail(err, FM_ERR_CONFIG, errno, "key %s", path);
	if ((st.st_mode & (S_IRWXO | S_IWGRP)) == 0) return 0;
	return fm_fail(err, FM_ERR_CONFIG, 0,
		       "key %s may be read or changed by others; type: chmod 600 %s", path, path);
}

static int
load(SSL_CTX *ctx, const struct fm_tls_files *files, struct fm_err *err)
{
	if (SSL_CTX_load_verify_file(ctx, files->ca) != 1) return fail(err, "ca", files->ca);
	if (SSL_CTX_use_certificate_chain_file(ctx, files->certificate) != 1)
		return fail(err, "certificate", files->certificate);
	if (check_key(files->key, err) < 0) return -1;
	if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1)
		return fail(err, "key", files->key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return fm_fail(err, FM_ERR_CONFIG, 0, "key %s does not belong to certificate %s",
			       files->key, files->certificate);
	return 0;
}

int
fm_tls_new(const struct fm_tls_files *files, struct fm_tls **ret, struct fm_err *err)
{
	_cleanup_(fm_tls_freep) struct fm_tls *tls = NULL;
	bool has_all = files->ca[0] && files->certificate[0] && files->key[0];

	*ret = NULL;
	if (!files->ca[0] && !files->certificate[0] && !files->key[0]) return 0;
	if (!has_all)
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "[tls] needs ca, certificate and key, or none of them");
	tls = fm_new(struct fm_tls, 1);
	tls->ctx = SSL_CTX_new(TLS_method());
	CHECK(tls->ctx != NULL);
	CHECK(SSL_CTX_set_min_proto_version(tls->ctx, TLS1_3_VERSION) == 1);
	/* A connection lasts for days: nothing is gained by resuming sessions. */
	(void)SSL_CTX_set_num_tickets(tls->ctx, 0);
	(void)SSL_CTX_set_mode(tls->ctx,
			       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (load(tls->ctx, files, err) < 0) return -1;
	*ret = TAKE(tls);
	return 0;
}

void
fm_tls_freep(struct fm_tls **tls)
{
	if (!*tls) return;
	SSL_CTX_free((*tls)->ctx);
	free(*tls);
	*tls = NULL;
}

const char *
fm_tls_role(Fermata__Role role)
{
	static const char *const words[] = { [FERMATA__ROLE__ROLE_AGENT] = "node",
					     [FERMATA__ROLE__ROLE_GATE] = "gate",
					     [FERMATA__ROLE__ROLE_COORDINATOR] = "coordinator" };

	return (unsigned)role < sizeof(words) / sizeof(words[0]) ? words[role] : NULL;
}

bool
fm_tls_name(char *dst, size_t size, const char *role, const char *name)
{
	return fm_format(dst, size, "%s.%s.fermata", name, role);
}

struct bufferevent *
fm_tls_wrap(struct fm_tls *tls, struct event_base *base, int fd, bool accepted)
{
	struct bufferevent *bev;
	SSL *ssl = SSL_new(tls->ctx);

	CHECK(ssl != NULL);
	if (!accepted) {
		SSL_set_hostflags(ssl, HOST_FLAGS);
		CHECK(SSL_set1_host(ssl, FM_TLS_COORDINATOR) == 1);
	}
	bev = bufferevent_openssl_socket_new(
		base, fd, ssl, accepted ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING,
		BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	CHECK(bev != NULL);
	/* Our own Goodbye says more than TLS's. */
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

bool
fm_tls_is(struct bufferevent *bev, Fermata__Role role, const char *name)
{
	X509 *certificate = SSL_get0_peer_certificate(bufferevent_openssl_get_ssl(bev));
	const char *word = fm_tls_role(role);
	char wanted[FM_TLS_NAME_SIZE];

	if (!certificate || !word || !fm_tls_name(wanted, sizeof(wanted), word, name)) return false;
	return X509_check_host(certificate, wanted, strlen(wanted), HOST_FLAGS, NULL) == 1;
}

static int64_t
until(const X509 *certificate)
{
	struct tm at = { .tm_sec = 0 };

	if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &at) != 1) return 0;
	return timegm(&at);
}

int64_t
fm_tls_until(struct bufferevent *bev)
{
	return until(SSL_get0_peer_certificate(bufferevent_openssl_get_ssl(bev)));
}

int64_t
fm_peer_until(const struct fm_peer *peer)
{
	return peer->is_secure && peer->bev ? fm_tls_until(peer->bev) : 0;
}

int64_t
fm_tls_file_until(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	int64_t ends = until(certificate);

	X509_free(certificate);
	return ends;
}

void
fm_tls_why(struct bufferevent *bev, char *dst, size_t size)
{
	unsigned long code = bufferevent_get_openssl_error(bev);
	long verdict = SSL_get_verify_result(bufferevent_openssl_get_ssl(bev));
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (verdict != X509_V_OK)
		(void)fm_format(dst, size, "TLS: its certificate is not accepted: %s",
				X509_verify_cert_error_string(verdict));
	else if (code && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
		(void)fm_copy(dst, size, "TLS: the other side speaks without");
	else if (reason)
		(void)fm_format(dst, size, "TLS: %s", reason);
	else
		(void)fm_copy(dst, size, "");
}

void
fm_tls_push(struct bufferevent *bev)
{
	struct evbuffer *out = bufferevent_get_output(bev);
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	size_t size = 0;
	int n = 1;

	if (!SSL_is_init_finished(ssl)) return;
	while (n > 0 && (size = evbuffer_get_length(out)) > 0 && size < INT_MAX) {
		n = SSL_write(ssl, evbuffer_pullup(out, -1), (int)size);
		if (n > 0) (void)evbuffer_drain(out, (size_t)n);
	}
	ERR_clear_error();
}
