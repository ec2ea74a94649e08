/* cert.h - `fermata cert`: the cluster's certificates, made and listed without a coordinator. */
#ifndef CO_CLI_CERT_H
#define CO_CLI_CERT_H

#include "coordinator/control/commands.h"

/* Each runs one command and returns its exit code. */
int co_cert_init(const struct co_parsed *parsed);
int co_cert_issue(const struct co_parsed *parsed);
int co_cert_list(const struct co_parsed *parsed);

#endif
