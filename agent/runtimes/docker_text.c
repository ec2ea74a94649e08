#include "agent/runtimes/docker_text.h"

#include <ctype.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "wire/ask.h"

#define API_LEAST 40u /* 1.40, of 2019 */
#define API_MOST 47u  /* what this code was written against */
#define HUB "https://index.docker.io/v1/"
#define SECRET_MAX 4096

/* ---- names ---- */

/* The minor of "1.N"; 0: it is none. */
static unsigned
minor_of(const char *version)
{
	unsigned long long minor;

	if (strncmp(version, "1.", 2) != 0) return 0;
	return fm_parse_u64(version + 2, 1, 999, &minor) ? (unsigned)minor : 0;
}

int
ag_docker_api(const char *most, const char *least, char *dst, size_t size, struct fm_err *err)
{
	unsigned high = minor_of(most), low = minor_of(least);

	if (high < API_LEAST)
		return fm_fail(err, FM_ERR_PEER, 0,
			       "the engine speaks version %s of its API; 1.%u is the least that "
			       "Fermata needs",
			       most, API_LEAST);
	if (low > API_MOST)
		return fm_fail(err, FM_ERR_PEER, 0,
			       "the engine speaks no version of its API before %s; Fermata knows "
			       "those up to 1.%u",
			       least, API_MOST);
	(void)fm_format(dst, size, "1.%u", high < API_MOST ? high : API_MOST);
	return 0;
}

static bool
is_repository_char(char c)
{
	return islower((unsigned char)c) || isdigit((unsigned char)c) || strchr("._-/", c);
}

int
ag_docker_is_repository(const char *image, struct fm_err *err)
{
	const char *slash = strrchr(image, '/'), *colon = strrchr(image, ':');
	const char *path = strchr(image, '/');

	if (strchr(image, '@'))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "image %s names a digest: write the repository alone; the version "
			       "comes with 'fermata upgrade --to VERSION'",
			       image);
	if (colon && (!slash || colon > slash))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "image %s names a tag: write image = %.*s; the version comes with "
			       "'fermata upgrade --to VERSION'",
			       image, (int)(colon - image), image);
	/* Only the host may have capitals or a port. */
	for (const char *at = image; *at; at++)
		if (!is_repository_char(*at) &&
		    !(path && at < path && (isupper((unsigned char)*at) || *at == ':')))
			return fm_fail(err, FM_ERR_CONFIG, 0, "image %s is no repository", image);
	if (!image[0] || image[0] == '/' || (slash && !slash[1]) || strstr(image, "//") ||
	    strstr(image, ".."))
		return fm_fail(err, FM_ERR_CONFIG, 0, "image \"%s\" is no repository", image);
	return 0;
}

void
ag_docker_registry(const char *repository, char *dst, size_t size)
{
	const char *slash = strchr(repository, '/');
	int len = slash ? (int)(slash - repository) : 0;
	bool is_host = len > 0 && (memchr(repository, '.', (size_t)len) ||
				   memchr(repository, ':', (size_t)len) ||
				   strncmp(repository, "localhost/", 10) == 0);

	(void)fm_format(dst, size, "%.*s", is_host ? len : 0, repository);
	if (!dst[0] || strcmp(dst, "docker.io") == 0) (void)fm_copy(dst, size, HUB);
}

int
ag_docker_is_version(const char *version, struct fm_err *err)
{
	/* Every version of NocoBase begins with a number; tags that move do not. */
	if (!fm_is_name(version, FM_VERSION_SIZE) || !isdigit((unsigned char)version[0]) ||
	    !strchr(version, '.'))
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"\"%s\" is a tag that moves, no version: two nodes could get "
			"different code by it, and there is no way back to what it was. Type "
			"'fermata upgrade --to' with a version, as in 2.2.16",
			version);
	return 0;
}

bool
ag_docker_is_container(const char *name)
{
	if (!isalnum((unsigned char)name[0])) return false;
	for (const char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("_.-", *at)) return false;
	return true;
}

/* ---- credentials ---- */

static void
drop(json_t **json)
{
	json_decref(*json);
}

/* "https://host/v1/" and "host" are the same registry. */
static bool
is_registry(const char *key, const char *registry)
{
	size_t a, b;

	if (strncmp(key, "https://", 8) == 0) key += 8;
	if (strncmp(key, "http://", 7) == 0) key += 7;
	if (strncmp(registry, "https://", 8) == 0) registry += 8;
	a = strcspn(key, "/");
	b = strcspn(registry, "/");
	return a == b && strncmp(key, registry, a) == 0;
}

static const json_t *
row_of(const json_t *rows, const char *registry)
{
	const char *key;
	json_t *row;

	json_object_foreach((json_t *)(uintptr_t)rows, key,
			    row) if (is_registry(key, registry)) return row;
	return NULL;
}

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* "user:password" in base64. */
static bool
split_auth(const char *auth, char *user, char *password)
{
	unsigned char plain[SECRET_MAX];
	size_t len = strlen(auth);
	const char *colon;
	int n;

	if (len == 0 || len % 4 != 0 || len >= sizeof(plain)) return false;
	n = EVP_DecodeBlock(plain, (const unsigned char *)auth, (int)len);
	if (n < 0) return false;
	plain[n] = '\0';
	colon = strchr((const char *)plain, ':');
	if (colon) {
		(void)fm_format(user, SECRET_MAX, "%.*s", (int)(colon - (const char *)plain),
				(const char *)plain);
		(void)fm_copy(password, SECRET_MAX, colon + 1);
	}
	explicit_bzero(plain, sizeof(plain));
	return colon != NULL;
}

/* In base64url with padding, as the engine reads it. */
static int
put_header(const json_t *auth, char *dst, size_t size, struct fm_err *err)
{
	_cleanup_free_ char *text = json_dumps(auth, JSON_COMPACT);
	static const char name[] = "X-Registry-Auth: ";
	size_t len = text ? strlen(text) : 0;

	if (!text || sizeof(name) + (len + 2) / 3 * 4 > size)
		return fm_fail(err, FM_ERR_LIMIT, 0, "the registry's credentials are too long");
	(void)fm_copy(dst, size, name);
	(void)EVP_EncodeBlock((unsigned char *)dst + strlen(name), (const unsigned char *)text,
			      (int)len);
	for (char *at = dst + strlen(name); *at; at++) {
		if (*at == '+') *at = '-';
		if (*at == '/') *at = '_';
	}
	explicit_bzero(text, len);
	return 0;
}

static int
fail_helper(const char *helper, const char *registry, struct fm_err *err)
{
	return fm_fail(
		err, FM_ERR_CONFIG, 0,
		"the password for %s is kept by docker-credential-%s, which Fermata does not "
		"ask: put it into a file of its own (DOCKER_CONFIG=/etc/fermata docker "
		"login %s, without credsStore) and set [docker] auth_file",
		registry, helper, registry);
}

int
ag_docker_auth(const char *config, size_t len, const char *registry, char *dst, size_t size,
	       struct fm_err *err)
{
	_cleanup_(drop) json_t *root = json_loadb(config, len, 0, NULL);
	_cleanup_(drop) json_t *auth = NULL;
	const json_t *row = row_of(json_object_get(root, "auths"), registry);
	const json_t *helper = row_of(json_object_get(root, "credHelpers"), registry);
	char user[SECRET_MAX] = "", password[SECRET_MAX] = "";
	const char *token = text_of(row, "identitytoken");
	int r;

	dst[0] = '\0';
	if (!root) return fm_fail(err, FM_ERR_CONFIG, 0, "it is not JSON");
	if (json_is_string(helper)) return fail_helper(json_string_value(helper), registry, err);
	if (!row) return 0;
	if (!text_of(row, "auth")[0] && !token[0] && text_of(root, "credsStore")[0])
		return fail_helper(text_of(root, "credsStore"), registry, err);
	if (!split_auth(text_of(row, "auth"), user, password) && !token[0])
		return fm_fail(err, FM_ERR_CONFIG, 0, "auth of %s is not USER:PASSWORD in base64",
			       registry);
	if (token[0])
		auth = json_pack("{ss ss}", "identitytoken", token, "serveraddress", registry);
	else
		auth = json_pack("{ss ss ss}", "username", user, "password", password,
				 "serveraddress", registry);
	r = put_header(auth, dst, size, err);
	explicit_bzero(user, sizeof(user));
	explicit_bzero(password, sizeof(password));
	return r;
}

void
ag_docker_name_ulimits(json_t *ulimits)
{
	char name[32];
	json_t *row;
	size_t i;

	json_array_foreach(ulimits, i, row)
	{
		const char *told = json_string_value(json_object_get(row, "Name"));

		if (!told || strncmp(told, "RLIMIT_", 7) != 0 || !FM_COPY(name, told + 7)) continue;
		for (char *at = name; *at; at++)
			if (*at >= 'A' && *at <= 'Z') *at = (char)(*at - 'A' + 'a');
		json_object_set_new(row, "Name", json_string(name));
	}
}
