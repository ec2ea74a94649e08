/* authority.h - the cluster's own certificate authority, in one folder: ca.crt, ca.key, and what it
 * issued as NAME.ROLE.crt and .key. Keys are P-256 (RFC 8446 §9.1: every TLS 1.3 has it), of mode 0600,
 * and are never sent anywhere. */
#ifndef CO_CLI_AUTHORITY_H
#define CO_CLI_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CO_CERT_PATH_SIZE 512
#define CO_CERT_DAYS 825
#define CO_AUTHORITY_DAYS 7300

struct co_cert {
	char path[CO_CERT_PATH_SIZE]; /* of the certificate; its key's ends in .key */
	char key[CO_CERT_PATH_SIZE];
	char name[160]; /* "app1.node.fermata", or the authority's own */
	int64_t until;	/* unix seconds */
	bool is_ours;	/* signed by the authority of the folder */
};

/* Makes folder and authority. Refused when there is one: what it issued would be worth nothing. */
int co_authority_init(const char *dir, struct co_cert *ret, struct fm_err *err);
/* A certificate and its key, in place of an older one of the same name. role: see fm_tls_role(). */
int co_authority_issue(const char *dir, const char *role, const char *name, long days,
		       struct co_cert *ret, struct fm_err *err);
/* Every certificate in the folder, by file name. -1: the folder cannot be read, or has no authority. */
int co_authority_list(const char *dir, void (*each)(void *arg, const struct co_cert *cert),
		      void *arg, struct fm_err *err);

#endif
