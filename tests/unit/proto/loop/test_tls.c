/* Who may come in by TLS, and whom a dialler believes. The certificates are made by the code behind
 * `fermata cert`. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/authority.h"
#include "host.h"
#include "test.h"

static char ours[32], theirs[32]; /* folders of two authorities */
static struct host host;	  /* the listener's side */
static struct host side;	  /* the dialler's */

static struct fm_tls *
tls_of(const char *dir, const char *ca_dir, const char *stem)
{
	char ca[64], certificate[96], key[96];
	struct fm_tls_files files = { ca, certificate, key };
	struct fm_tls *tls = NULL;
	struct fm_err err;

	(void)FM_FORMAT(ca, "%s/ca.crt", ca_dir);
	(void)FM_FORMAT(certificate, "%s/%s.crt", dir, stem);
	(void)FM_FORMAT(key, "%s/%s.key", dir, stem);
	if (fm_tls_new(&files, &tls, &err) < 0) fail_msg("%s", err.text);
	assert_non_null(tls);
	return tls;
}

static void
issue(const char *dir, const char *role, const char *name, long days)
{
	struct co_cert made;
	struct fm_err err;

	if (co_authority_issue(dir, role, name, days, &made, &err) < 0) fail_msg("%s", err.text);
}

static int
make_certificates(void **state)
{
	struct co_cert made;
	struct fm_err err;

	(void)state;
	(void)FM_COPY(ours, "/tmp/fm-tls-XXXXXX");
	(void)FM_COPY(theirs, "/tmp/fm-tls-XXXXXX");
	if (!mkdtemp(ours) || !mkdtemp(theirs)) return -1;
	if (co_authority_init(ours, &made, &err) < 0) return -1;
	if (co_authority_init(theirs, &made, &err) < 0) return -1;
	issue(ours, "coordinator", "co1", 1);
	issue(ours, "node", "app1", 1);
	issue(ours, "gate", "app1", 1);
	issue(ours, "node", "old", -1);
	issue(theirs, "node", "app1", 1);
	issue(theirs, "coordinator", "co1", 1);
	return 0;
}

static int
remove_certificates(void **state)
{
	char command[96];

	(void)state;
	(void)FM_FORMAT(command, "rm -r %s %s", ours, theirs);
	return system(command);
}

/* One try of a peer that says it is (role, name), with such a certificate; NULL: plain. Until it is
 * up, or was turned away. */
static void
meet(struct fm_tls *server, struct fm_tls *client, Fermata__Role role, const char *name)
{
	Fermata__Hello hello = FERMATA__HELLO__INIT;
	struct fm_dial_to to = { .hello = &hello, .tls = client };
	struct fm_mono end = fm_mono_after(fm_mono_now(), 10000);
	struct fm_peer *peer;
	struct fm_err err;

	memset(&side, 0, sizeof(side));
	host_open_tls(&host, false, server);
	hello.role = role;
	hello.name = (char *)(uintptr_t)name;
	to.addresses = host.address;
	peer = fm_peer_dial(host.base, &to, &host_calls, &side, &err);
	if (!peer) fail_msg("%s", err.text);
	while (side.ups + side.downs == 0 && fm_mono_since(end, fm_mono_now()) > 0)
		host_turn(&host, 5);
	if (side.ups > 0) host_wait(&host, &host.ups, 1);
	fm_peer_free(peer, "seen enough");
	if (side.ups > 0) host_wait(&host, &host.downs, 1);
	host_close(&host);
}

static void
assert_turned_away(struct fm_tls *server, struct fm_tls *client, Fermata__Role role,
		   const char *name)
{
	meet(server, client, role, name);
	assert_int_equal(host.ups + side.ups, 0);
}

static void
test_a_peer_with_its_own_certificate_comes_in(void **state)
{
	_cleanup_(fm_tls_freep) struct fm_tls *server = tls_of(ours, ours, "co1.coordinator");
	_cleanup_(fm_tls_freep) struct fm_tls *node = tls_of(ours, ours, "app1.node");
	_cleanup_(fm_tls_freep) struct fm_tls *gate = tls_of(ours, ours, "app1.gate");

	(void)state;
	meet(server, node, FERMATA__ROLE__ROLE_AGENT, "app1");
	assert_int_equal(side.ups, 1);
	assert_string_equal(host.name, "app1");
	assert_int_equal(side.welcome_epoch, 42);
	/* The last word of an end on purpose arrives. */
	assert_string_equal(host.why, "it said goodbye: seen enough");
	meet(server, gate, FERMATA__ROLE__ROLE_GATE, "app1");
	assert_int_equal(side.ups, 1);
	assert_int_equal(host.role, FERMATA__ROLE__ROLE_GATE);
}

static void
test_nobody_takes_the_name_or_the_role_of_another(void **state)
{
	_cleanup_(fm_tls_freep) struct fm_tls *server = tls_of(ours, ours, "co1.coordinator");
	_cleanup_(fm_tls_freep) struct fm_tls *node = tls_of(ours, ours, "app1.node");

	(void)state;
	assert_turned_away(server, node, FERMATA__ROLE__ROLE_AGENT, "app2");
	assert_non_null(strstr(side.why, "it says that it is node app2, its certificate does not"));
	assert_turned_away(server, node, FERMATA__ROLE__ROLE_GATE, "app1");
	assert_non_null(strstr(side.why, "it says that it is gate app1"));
	assert_turned_away(server, node, FERMATA__ROLE__ROLE_OPERATOR, "app1");
}

static void
test_a_foreign_or_old_certificate_stays_outside(void **state)
{
	_cleanup_(fm_tls_freep) struct fm_tls *server = tls_of(ours, ours, "co1.coordinator");
	_cleanup_(fm_tls_freep) struct fm_tls *foreign = tls_of(theirs, ours, "app1.node");
	_cleanup_(fm_tls_freep) struct fm_tls *old = tls_of(ours, ours, "old.node");

	(void)state;
	assert_turned_away(server, foreign, FERMATA__ROLE__ROLE_AGENT, "app1");
	assert_turned_away(server, old, FERMATA__ROLE__ROLE_AGENT, "old");
	assert_turned_away(server, NULL, FERMATA__ROLE__ROLE_AGENT, "app1");
}

static void
test_a_dialler_believes_coordinators_only(void **state)
{
	_cleanup_(fm_tls_freep) struct fm_tls *client = tls_of(ours, ours, "app1.node");
	_cleanup_(fm_tls_freep) struct fm_tls *gate = tls_of(ours, ours, "app1.gate");
	_cleanup_(fm_tls_freep) struct fm_tls *foreign = tls_of(theirs, ours, "co1.coordinator");

	(void)state;
	assert_turned_away(foreign, client, FERMATA__ROLE__ROLE_AGENT, "app1");
	assert_non_null(strstr(side.why, "its certificate is not accepted"));
	/* One of the cluster, but no coordinator. */
	assert_turned_away(gate, client, FERMATA__ROLE__ROLE_AGENT, "app1");
	assert_non_null(strstr(side.why, "its certificate is not accepted"));
	assert_turned_away(NULL, client, FERMATA__ROLE__ROLE_AGENT, "app1");
	assert_string_equal(side.why, "TLS: the other side speaks without");
}

static void
test_bad_files_are_named(void **state)
{
	char ca[64], certificate[96], key[96], other[96];
	struct fm_tls *tls = NULL;
	struct fm_err err;

	(void)state;
	(void)FM_FORMAT(ca, "%s/ca.crt", ours);
	(void)FM_FORMAT(certificate, "%s/app1.node.crt", ours);
	(void)FM_FORMAT(key, "%s/app1.node.key", ours);
	(void)FM_FORMAT(other, "%s/app1.gate.key", ours);
	assert_int_equal(fm_tls_new(&(struct fm_tls_files){ "", "", "" }, &tls, &err), 0);
	assert_null(tls);
	assert_int_equal(fm_tls_new(&(struct fm_tls_files){ ca, "", key }, &tls, &err), -1);
	assert_non_null(strstr(err.text, "needs ca, certificate and key"));
	assert_int_equal(fm_tls_new(&(struct fm_tls_files){ ca, certificate, other }, &tls, &err),
			 -1);
	assert_non_null(strstr(err.text, other));
	assert_int_equal(
		fm_tls_new(&(struct fm_tls_files){ "/no/ca", certificate, key }, &tls, &err), -1);
	assert_non_null(strstr(err.text, "/no/ca"));
	assert_int_equal(chmod(key, 0644), 0);
	assert_int_equal(fm_tls_new(&(struct fm_tls_files){ ca, certificate, key }, &tls, &err),
			 -1);
	assert_non_null(strstr(err.text, "chmod 600"));
	assert_int_equal(chmod(key, 0600), 0);
	assert_null(tls);
}

static void
test_an_authority_is_made_once(void **state)
{
	struct co_cert made;
	struct fm_err err;

	(void)state;
	assert_int_equal(co_authority_init(ours, &made, &err), -1);
	assert_int_equal(err.kind, FM_ERR_REFUSED);
	assert_int_equal(co_authority_issue("/no", "node", "app1", 1, &made, &err), -1);
	assert_non_null(strstr(err.text, "there is no authority in /no"));
}

static void
test_encrypted_may_leave_the_host(void **state)
{
	struct fm_address address;
	struct fm_err err;

	(void)state;
	assert_int_equal(fm_address_resolve("192.0.2.7:7400", 0, &address, &err), -1);
	assert_int_equal(fm_address_resolve("192.0.2.7:7400", FM_ADDRESS_ANYWHERE, &address, &err),
			 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_peer_with_its_own_certificate_comes_in),
		cmocka_unit_test(test_nobody_takes_the_name_or_the_role_of_another),
		cmocka_unit_test(test_a_foreign_or_old_certificate_stays_outside),
		cmocka_unit_test(test_a_dialler_believes_coordinators_only),
		cmocka_unit_test(test_bad_files_are_named),
		cmocka_unit_test(test_an_authority_is_made_once),
		cmocka_unit_test(test_encrypted_may_leave_the_host),
	};

	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
