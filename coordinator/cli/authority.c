#include "coordinator/cli/authority.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "loop/tls.h"

#define CA "ca"
#define CA_NAME "Fermata cluster authority"
#define DAY 86400L
/* A clock that is a little behind must not find a certificate that is not valid yet. */
#define BACKDATE 3600L
#define SERIAL_BYTES 16

static void
free_cert(X509 **cert)
{
	X509_free(*cert);
}

static void
free_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

#define _cleanup_cert_ _cleanup_(free_cert)
#define _cleanup_key_ _cleanup_(free_key)

/* --- files -------------------------------------------------------------------------------- */

static int
set_paths(struct co_cert *cert, const char *dir, const char *stem, struct fm_err *err)
{
	if (FM_FORMAT(cert->path, "%s/%s.crt", dir, stem) &&
	    FM_FORMAT(cert->key, "%s/%s.key", dir, stem))
		return 0;
	return fm_fail(err, FM_ERR_CONFIG, 0, "%s is too long a path", dir);
}

/* Whole, or not at all, and never readable by others for a moment. */
static int
write_pem(const char *path, mode_t mode, X509 *cert, EVP_PKEY *key, struct fm_err *err)
{
	char fresh[CO_CERT_PATH_SIZE + 8];
	_cleanup_fclose_ FILE *file = NULL;
	int fd;
	bool ok;

	(void)FM_FORMAT(fresh, "%s.new", path);
	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0) return fm_fail(err, FM_ERR_IO, errno, "write %s", fresh);
	file = fdopen(fd, "w");
	CHECK(file != NULL);
	ok = cert ? PEM_write_X509(file, cert) == 1
		  : PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
	ok = ok && fflush(file) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0 &&
	     rename(fresh, path) == 0;
	if (ok) return 0;
	(void)fm_fail(err, FM_ERR_IO, errno, "write %s", path);
	(void)unlink(fresh);
	return -1;
}

static X509 *
read_cert(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	ERR_clear_error();
	return cert;
}

static int
read_authority(const char *dir, X509 **ret_cert, EVP_PKEY **ret_key, struct fm_err *err)
{
	struct co_cert own;
	_cleanup_fclose_ FILE *file = NULL;

	if (set_paths(&own, dir, CA, err) < 0) return -1;
	*ret_cert = read_cert(own.path);
	if (!*ret_cert)
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "there is no authority in %s (%s is not a certificate)", dir,
			       own.path);
	if (!ret_key) return 0;
	file = fopen(own.key, "re");
	if (!file) return fm_fail(err, FM_ERR_IO, errno, "open %s", own.key);
	*ret_key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	ERR_clear_error();
	if (*ret_key && X509_check_private_key(*ret_cert, *ret_key) == 1) return 0;
	ERR_clear_error();
	return fm_fail(err, FM_ERR_CONFIG, 0, "%s is not the key of %s", own.key, own.path);
}

/* --- certificates ------------------------------------------------------------------------- */

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CHECK(extension && X509_add_ext(cert, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

/* A number that nobody can guess, positive as X.509 wants it. */
static void
set_serial(X509 *cert)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;

	CHECK(RAND_bytes(bytes, sizeof(bytes)) == 1);
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	CHECK(number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
	BN_free(number);
}

/* Without extensions and signature. */
static X509 *
draft(EVP_PKEY *key, const char *name, long days)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	CHECK(cert && X509_set_version(cert, X509_VERSION_3) == 1);
	set_serial(cert);
	CHECK(X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATE));
	CHECK(X509_gmtime_adj(X509_getm_notAfter(cert), days * DAY));
	/* 64 bytes is all that X.520 gives a common name; who it is stands in subjectAltName. */
	CHECK(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
					 (const unsigned char *)name,
					 (int)(strlen(name) > 64 ? 64 : strlen(name)), -1, 0) == 1);
	CHECK(X509_set_pubkey(cert, key) == 1);
	return cert;
}

static void
fill(struct co_cert *ret, const X509 *cert)
{
	struct tm until = { 0 };

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &until) == 1) ret->until = timegm(&until);
}

/* ret has its paths. */
static int
write_both(struct co_cert *ret, X509 *cert, EVP_PKEY *key, struct fm_err *err)
{
	fill(ret, cert);
	ret->is_ours = true;
	if (write_pem(ret->key, 0600, NULL, key, err) < 0) return -1;
	return write_pem(ret->path, 0644, cert, NULL, err);
}

/* The folder, and the one above it: /etc/fermata may be new, too. */
static int
make_dir(const char *dir, struct fm_err *err)
{
	char above[CO_CERT_PATH_SIZE];
	char *slash = FM_COPY(above, dir) ? strrchr(above, '/') : NULL;

	if (slash && slash > above) {
		*slash = '\0';
		(void)mkdir(above, 0755);
	}
	if (mkdir(dir, 0755) == 0 || errno == EEXIST) return 0;
	return fm_fail(err, FM_ERR_IO, errno, "make the folder %s", dir);
}

int
co_authority_init(const char *dir, struct co_cert *ret, struct fm_err *err)
{
	_cleanup_key_ EVP_PKEY *key = NULL;
	_cleanup_cert_ X509 *cert = NULL;

	*ret = (struct co_cert){ .name = CA_NAME };
	if (set_paths(ret, dir, CA, err) < 0) return -1;
	if (make_dir(dir, err) < 0) return -1;
	if (access(ret->key, F_OK) == 0 || access(ret->path, F_OK) == 0)
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "there is an authority in %s already: with another one, every "
			       "certificate that it issued would be refused",
			       dir);
	key = EVP_EC_gen("P-256");
	CHECK(key != NULL);
	cert = draft(key, CA_NAME, CO_AUTHORITY_DAYS);
	CHECK(X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1);
	extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	extend(cert, cert, NID_subject_key_identifier, "hash");
	CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
	return write_both(ret, cert, key, err);
}

/* What a certificate of this role may be used for, and whose it is. */
static void
set_owner(X509 *cert, X509 *issuer, const char *role, const char *name)
{
	bool serves = fm_is_equal(role, fm_tls_role(FERMATA__ROLE__ROLE_COORDINATOR));
	char names[2 * FM_TLS_NAME_SIZE + 32];

	(void)FM_FORMAT(names, "DNS:%s%s", name, serves ? ",DNS:" FM_TLS_COORDINATOR : "");
	extend(cert, issuer, NID_basic_constraints, "critical,CA:FALSE");
	extend(cert, issuer, NID_key_usage, "critical,digitalSignature");
	extend(cert, issuer, NID_ext_key_usage, serves ? "serverAuth,clientAuth" : "clientAuth");
	extend(cert, issuer, NID_subject_alt_name, names);
	extend(cert, issuer, NID_subject_key_identifier, "hash");
	extend(cert, issuer, NID_authority_key_identifier, "keyid");
}

int
co_authority_issue(const char *dir, const char *role, const char *name, long days,
		   struct co_cert *ret, struct fm_err *err)
{
	_cleanup_cert_ X509 *ca = NULL, *cert = NULL;
	_cleanup_key_ EVP_PKEY *ca_key = NULL, *key = NULL;
	char stem[FM_TLS_NAME_SIZE];

	*ret = (struct co_cert){ .until = 0 };
	if (!fm_tls_name(ret->name, FM_TLS_NAME_SIZE, role, name) ||
	    !FM_FORMAT(stem, "%s.%s", name, role))
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s is too long a name", name);
	if (set_paths(ret, dir, stem, err) < 0) return -1;
	if (read_authority(dir, &ca, &ca_key, err) < 0) return -1;
	key = EVP_EC_gen("P-256");
	CHECK(key != NULL);
	cert = draft(key, ret->name, days);
	CHECK(X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1);
	set_owner(cert, ca, role, ret->name);
	CHECK(X509_sign(cert, ca_key, EVP_sha256()) > 0);
	return write_both(ret, cert, key, err);
}

/* --- the list ----------------------------------------------------------------------------- */

/* The first of its names, which is its owner's. */
static void
read_name(const X509 *cert, char *dst, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *first = names ? sk_GENERAL_NAME_value(names, 0) : NULL;

	(void)fm_copy(dst, size, CA_NAME);
	if (first && first->type == GEN_DNS)
		(void)fm_format(dst, size, "%.*s", ASN1_STRING_length(first->d.dNSName),
				(const char *)ASN1_STRING_get0_data(first->d.dNSName));
	GENERAL_NAMES_free(names);
}

static int
is_certificate(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 4 && strcmp(entry->d_name + n - 4, ".crt") == 0;
}

int
co_authority_list(const char *dir, void (*each)(void *arg, const struct co_cert *cert), void *arg,
		  struct fm_err *err)
{
	_cleanup_cert_ X509 *ca = NULL;
	struct dirent **entries = NULL;
	int count;

	if (read_authority(dir, &ca, NULL, err) < 0) return -1;
	count = scandir(dir, &entries, is_certificate, alphasort);
	if (count < 0) return fm_fail(err, FM_ERR_IO, errno, "read %s", dir);
	for (int i = 0; i < count; i++) {
		_cleanup_free_ struct dirent *entry = entries[i];
		struct co_cert found = { .until = 0 };
		_cleanup_cert_ X509 *cert = NULL;

		if (!FM_FORMAT(found.path, "%s/%s", dir, entry->d_name)) continue;
		cert = read_cert(found.path);
		if (!cert) continue;
		fill(&found, cert);
		read_name(cert, found.name, sizeof(found.name));
		found.is_ours = X509_verify(cert, X509_get0_pubkey(ca)) == 1;
		ERR_clear_error();
		each(arg, &found);
	}
	free(entries);
	return 0;
}
