/* The docker runtime's pure parts: names, credentials, streams, and a container made anew. */
#include "made_up.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runtimes/docker.h"
#include "agent/runtimes/docker_spec.h"
#include "agent/runtimes/docker_stream.h"
#include "agent/runtimes/docker_text.h"
#include "agent/world/dotenv.h"
#include "base/text.h"

static struct fm_err err;

static json_t *
json(const char *text)
{
	json_t *made = json_loads(text, 0, NULL);

	assert_non_null(made);
	return made;
}

/* ---- names ---- */

static void
test_api(void **state)
{
	char agreed[16];

	(void)state;
	assert_int_equal(ag_docker_api("1.41", "1.12", agreed, sizeof(agreed), &err), 0);
	assert_string_equal(agreed, "1.41");
	assert_int_equal(ag_docker_api("1.99", "1.44", agreed, sizeof(agreed), &err), 0);
	assert_string_equal(agreed, "1.47");
	assert_int_equal(ag_docker_api("1.39", "", agreed, sizeof(agreed), &err), -1);
	assert_int_equal(ag_docker_api("1.60", "1.48", agreed, sizeof(agreed), &err), -1);
	assert_int_equal(ag_docker_api("2.0", "", agreed, sizeof(agreed), &err), -1);
}

static void
test_repositories(void **state)
{
	static const char *const good[] = { "nocobase/nocobase", "registry.example:5000/a/b",
					    "Host.example/x", "nocobase" };
	static const char *const bad[] = {
		"", "/x", "x/", "a//b", "a/../b", "A/B", "a b", "a/b?c"
	};
	char registry[300];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(ag_docker_is_repository(good[i], &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(ag_docker_is_repository(bad[i], &err), -1);
	assert_int_equal(ag_docker_is_repository("nocobase/nocobase:latest", &err), -1);
	assert_non_null(strstr(err.text, "write image = nocobase/nocobase;"));
	assert_int_equal(ag_docker_is_repository("a/b@sha256:00", &err), -1);
	ag_docker_registry("nocobase/nocobase", registry, sizeof(registry));
	assert_string_equal(registry, "https://index.docker.io/v1/");
	ag_docker_registry("localhost:5000/x", registry, sizeof(registry));
	assert_string_equal(registry, "localhost:5000");
	assert_int_equal(ag_docker_is_version("2.2.16", &err), 0);
	assert_int_equal(ag_docker_is_version("latest", &err), -1);
	assert_non_null(strstr(err.text, "fermata upgrade --to"));
	assert_int_equal(ag_docker_is_version("next-1.0", &err), -1);
}

static void
test_names(void **state)
{
	struct ag_settings s;
	json_t *list = json(
		"[{\"Names\":[\"/shop-app-1\"]},{\"Names\":[\"/shop-app-1-fermata-2.2.15\"]}]");
	char name[AG_CONTAINER_NAME], path[2048];

	(void)state;
	memset(&s, 0, sizeof(s));
	FM_COPY(s.docker_project, "shop");
	FM_COPY(s.docker_service, "app");
	assert_int_equal(ag_docker_name(&s, list, name, sizeof(name), &err), 0);
	assert_string_equal(name, "shop-app-1");
	ag_docker_list_path(&s, path, sizeof(path));
	assert_non_null(
		strstr(path, "filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3Dshop"));
	json_array_append_new(list, json("{\"Names\":[\"/shop-app-2\"]}"));
	assert_int_equal(ag_docker_name(&s, list, name, sizeof(name), &err), -1);
	assert_non_null(strstr(err.text, "both shop-app-1 and shop-app-2"));
	json_array_clear(list);
	assert_int_equal(ag_docker_name(&s, list, name, sizeof(name), &err), -1);
	assert_non_null(strstr(err.text, "docker compose create app"));
	json_decref(list);
}

/* ---- credentials ---- */

static int
auth(const char *config, const char *registry, char *header, size_t size)
{
	return ag_docker_auth(config, strlen(config), registry, header, size, &err);
}

static void
test_auth(void **state)
{
	char header[1024];

	(void)state;
	assert_int_equal(auth("{\"auths\":{\"r.example:5000\":{\"auth\":\"dTpwOnc=\"}}}",
			      "r.example:5000", header, sizeof(header)),
			 0);
	/* {"username":"u","password":"p:w","serveraddress":"r.example:5000"} */
	assert_string_equal(
		header,
		"X-Registry-Auth: eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA6dyIsInNlcnZlcmFkZHJlc3M"
		"iOiJyLmV4YW1wbGU6NTAwMCJ9");
	assert_int_equal(auth("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpw\"}}}",
			      "https://index.docker.io/v1/", header, sizeof(header)),
			 0);
	assert_true(header[0]);
	assert_int_equal(auth("{\"auths\":{\"other\":{\"auth\":\"dTpw\"}},\"credsStore\":\"pass\"}",
			      "r.example", header, sizeof(header)),
			 0);
	assert_string_equal(header, "");
	assert_int_equal(
		auth("{\"auths\":{\"r\":{}},\"credsStore\":\"pass\"}", "r", header, sizeof(header)),
		-1);
	assert_non_null(strstr(err.text, "docker-credential-pass"));
	assert_int_equal(
		auth("{\"credHelpers\":{\"r\":\"ecr-login\"}}", "r", header, sizeof(header)), -1);
	assert_int_equal(
		auth("{\"auths\":{\"r\":{\"auth\":\"dTpw*\"}}}", "r", header, sizeof(header)), -1);
	assert_int_equal(auth("{\"auths\":{\"r\":{\"auth\":\"dTpw\"}}}", "r", header, 40), -1);
	assert_int_equal(auth("no json", "r", header, sizeof(header)), -1);
}

/* ---- streams ---- */

static int
take(void *arg, const char *line, size_t len, struct fm_err *why)
{
	return ag_pull_line(arg, line, len, why);
}

static void
test_pull(void **state)
{
	static const char said[] =
		"{\"status\":\"Pulling from nocobase/nocobase\",\"id\":\"2.2.16\"}\r\n"
		"{\"status\":\"Already exists\",\"progressDetail\":{},\"id\":\"aaa\"}\r\n"
		"{\"status\":\"Downloading\",\"progressDetail\":{\"current\":1048576,\"total\":4194304},"
		"\"id\":\"bbb\"}\r\n";
	struct ag_lines *lines = calloc(1, sizeof(*lines));
	struct ag_pull *pull = calloc(1, sizeof(*pull));
	char text[200];

	(void)state;
	assert_true(lines && pull);
	for (size_t i = 0; i < sizeof(said) - 1; i++)
		assert_int_equal(ag_lines_add(lines, said + i, 1, take, pull, &err), 0);
	ag_pull_text(pull, text, sizeof(text));
	assert_string_equal(text, "1 of 2 layers, 1.0 of 4.0 MiB");
	assert_int_equal(ag_lines_add(lines, "{\"error\":\"denied\"}\n", 19, take, pull, &err), -1);
	assert_string_equal(err.text, "denied");
	lines->len = AG_LINE_MAX;
	assert_int_equal(ag_lines_add(lines, "xy", 2, take, pull, &err), -1);
	free(lines);
	free(pull);
}

static char got[64];

static void
add(void *arg, const char *text, size_t len)
{
	(void)arg;
	(void)FM_APPEND(got, "%.*s", (int)len, text);
}

static void
test_frames(void **state)
{
	static const char said[] = "\1\0\0\0\0\0\0\2ab\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1c";
	struct ag_frames frames = { .is_raw = false };

	(void)state;
	got[0] = '\0';
	for (size_t i = 0; i < sizeof(said) - 1; i++)
		assert_int_equal(ag_frames_add(&frames, said + i, 1, add, NULL, &err), 0);
	assert_string_equal(got, "abc");
	assert_int_equal(ag_frames_add(&frames, "plain text", 10, add, NULL, &err), -1);
	frames = (struct ag_frames){ .is_raw = true };
	assert_int_equal(ag_frames_add(&frames, "plain", 5, add, NULL, &err), 0);
	assert_string_equal(got, "abcplain");
}

static void
test_archive(void **state)
{
	struct ag_archive *archive = calloc(1, sizeof(*archive));
	size_t len = 0;

	(void)state;
	assert_non_null(archive);
	assert_null(ag_archive_file(archive, &len));
	memcpy(archive->bytes, "x", 1);
	memcpy(archive->bytes + 124, "00000000003", 11);
	archive->bytes[156] = 'x'; /* attributes first */
	memcpy(archive->bytes + 1024, "package.json", 12);
	memcpy(archive->bytes + 1024 + 124, "00000000005", 11);
	archive->bytes[1024 + 156] = '0';
	memcpy(archive->bytes + 1536, "hello", 5);
	archive->len = 2048;
	assert_ptr_equal(ag_archive_file(archive, &len), archive->bytes + 1536);
	assert_int_equal(len, 5);
	archive->len = 1540;
	assert_null(ag_archive_file(archive, &len));
	memcpy(archive->bytes + 1024 + 124, "77777777777", 11);
	archive->len = 2048;
	assert_null(ag_archive_file(archive, &len));
	assert_int_equal(ag_archive_add(archive, archive->bytes, AG_ARCHIVE_MAX, &err), -1);
	free(archive);
}

/* ---- a container made anew ---- */

static const char image[] =
	"{\"Config\":{\"Env\":[\"PATH=/bin\",\"NODE_VERSION=20\"],\"Cmd\":[\"/app/run.sh\"],"
	"\"WorkingDir\":\"/app\",\"ExposedPorts\":{\"80/tcp\":{}},\"Volumes\":{\"/v\":{}},"
	"\"Labels\":{\"a\":\"1\",\"b\":\"1\"},\"User\":\"\",\"Entrypoint\":null,\"StopSignal\":\"SIGTERM\"}}";

static const char container[] =
	"{\"Id\":\"0123456789abcdef\",\"Name\":\"/app\",\"Image\":\"sha256:old\","
	"\"Config\":{\"Hostname\":\"0123456789ab\",\"Image\":\"r:2.2.15\",\"User\":\"\","
	"\"Env\":[\"DB_HOST=db\",\"NODE_VERSION=20\",\"PATH=/own\",\"SKIP_SAME_VERSION_UPGRADE=false\","
	"\"Q=a\\\"b\\\\n\\nc\"],"
	"\"Cmd\":[\"/app/run.sh\"],\"Entrypoint\":null,\"WorkingDir\":\"/app\","
	"\"ExposedPorts\":{\"80/tcp\":{},\"9/tcp\":{}},\"Volumes\":{\"/v\":{}},"
	"\"Labels\":{\"a\":\"1\",\"b\":\"2\",\"mine\":\"x\"},\"StopSignal\":\"SIGTERM\",\"Tty\":true},"
	"\"HostConfig\":{\"NetworkMode\":\"front\",\"Binds\":[\"/srv:/data:ro\"],"
	"\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3},\"AutoRemove\":false,"
	"\"Links\":[\"/db:/app/base\"],\"Memory\":5,\"ContainerIDFile\":\"/x\","
	"\"Ulimits\":[{\"Name\":\"RLIMIT_NOFILE\",\"Soft\":1},{\"Name\":\"core\"}]},"
	"\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/srv\",\"Destination\":\"/data\",\"RW\":false},"
	"{\"Type\":\"volume\",\"Name\":\"abc\",\"Source\":\"/var/abc\",\"Destination\":\"/v\",\"RW\":true}],"
	"\"NetworkSettings\":{\"Networks\":{"
	"\"front\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.7\"},\"Aliases\":[\"web\",\"0123456789ab\"],"
	"\"IPAddress\":\"10.0.0.7\",\"EndpointID\":\"e\"},"
	"\"back\":{\"IPAMConfig\":null,\"Aliases\":null,\"IPAddress\":\"10.1.0.9\"}}}}";

static const struct ag_docker_change change = { .image = "sha256:new",
						.node = "app1",
						.version = "2.2.16",
						.digest = "r@sha256:d",
						.mode = FM_START_PLAIN,
						.restart = "on-failure:3" };

static void
same(const json_t *found, const char *wanted)
{
	json_t *want = json(wanted);
	char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);

	if (!json_equal(found, want)) fail_msg("%s is not %s", text, wanted);
	free(text);
	json_decref(want);
}

static void
test_made_anew(void **state)
{
	json_t *old = json(container), *own = json(image);
	json_t *spec = ag_docker_spec(old, own, &change, &err), *others;

	(void)state;
	assert_non_null(spec);
	same(json_object_get(spec, "Env"),
	     "[\"DB_HOST=db\",\"PATH=/own\",\"Q=a\\\"b\\\\n\\nc\",\"SKIP_SAME_VERSION_UPGRADE=true\"]");
	assert_null(json_object_get(spec, "Cmd"));
	assert_null(json_object_get(spec, "Entrypoint"));
	assert_null(json_object_get(spec, "WorkingDir"));
	assert_null(json_object_get(spec, "Hostname"));
	same(json_object_get(spec, "ExposedPorts"), "{\"9/tcp\":{}}");
	same(json_object_get(spec, "Labels"),
	     "{\"b\":\"2\",\"mine\":\"x\",\"fermata.node\":\"app1\",\"fermata.version\":\"2.2.16\","
	     "\"fermata.digest\":\"r@sha256:d\",\"fermata.mode\":\"plain\","
	     "\"fermata.restart\":\"on-failure:3\"}");
	assert_string_equal(ag_docker_text_at(spec, "Image"), "sha256:new");
	assert_true(json_is_true(json_object_get(spec, "Tty")));
	same(ag_docker_at(spec, "HostConfig"),
	     "{\"NetworkMode\":\"front\",\"Binds\":[\"/srv:/data:ro\",\"abc:/v\"],"
	     "\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},\"AutoRemove\":false,"
	     "\"Links\":[\"db:base\"],\"Memory\":5,"
	     "\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":1},{\"Name\":\"core\"}]}");
	same(ag_docker_at(spec, "NetworkingConfig"),
	     "{\"EndpointsConfig\":{\"front\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.7\"},"
	     "\"Aliases\":[\"web\"]}}}");
	others = ag_docker_networks(old);
	same(others, "{\"back\":{}}");
	json_decref(others);
	json_decref(spec);
	json_decref(own);
	json_decref(old);
}

/* A command is the image's own only under the image's own entrypoint. */
static void
test_commands(void **state)
{
	json_t *old = json(container), *own = json(image), *spec;
	struct ag_docker_change migrate = change;

	(void)state;
	migrate.mode = FM_START_MIGRATE;
	json_object_set_new(json_object_get(old, "Config"), "Entrypoint", json("[\"/bin/tini\"]"));
	spec = ag_docker_spec(old, own, &migrate, &err);
	same(json_object_get(spec, "Entrypoint"), "[\"/bin/tini\"]");
	same(json_object_get(spec, "Cmd"), "[\"/app/run.sh\"]");
	same(json_object_get(spec, "Env"), "[\"DB_HOST=db\",\"PATH=/own\",\"Q=a\\\"b\\\\n\\nc\"]");
	json_decref(spec);
	json_object_set_new(json_object_get(old, "HostConfig"), "AutoRemove", json_true());
	assert_null(ag_docker_spec(old, own, &change, &err));
	assert_non_null(strstr(err.text, "--rm"));
	json_decref(old);
	old = json("{\"Config\":[],\"HostConfig\":7}");
	assert_null(ag_docker_spec(old, own, &change, &err));
	json_decref(own);
	json_decref(old);
}

static void
test_from_outside(void **state)
{
	json_t *old = json(container), *policy;
	struct ag_dotenv env;
	char path[256], text[64];
	char *dotenv = ag_docker_dotenv(old, "10.9.9.9:6432");

	(void)state;
	assert_true(ag_docker_host_path(old, "/data/storage", path, sizeof(path)));
	assert_string_equal(path, "/srv/storage");
	assert_true(ag_docker_host_path(old, "/v", path, sizeof(path)));
	assert_string_equal(path, "/var/abc");
	assert_false(ag_docker_host_path(old, "/database", path, sizeof(path)));
	assert_int_equal(ag_dotenv_parse(&env, dotenv, &err), 0);
	assert_string_equal(ag_dotenv_get(&env, "Q"), "a\"b\\n\nc");
	assert_string_equal(ag_dotenv_get(&env, "DB_HOST"), "10.9.9.9");
	assert_string_equal(ag_dotenv_get(&env, "DB_PORT"), "6432");
	ag_dotenv_done(&env);
	free(dotenv);
	ag_docker_restart_text(ag_docker_at(old, "HostConfig.RestartPolicy"), text, sizeof(text));
	assert_string_equal(text, "on-failure:3");
	policy = ag_docker_restart(text);
	same(policy, "{\"Name\":\"on-failure\",\"MaximumRetryCount\":3}");
	json_decref(policy);
	json_decref(old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_api),	 cmocka_unit_test(test_repositories),
		cmocka_unit_test(test_names),	 cmocka_unit_test(test_auth),
		cmocka_unit_test(test_pull),	 cmocka_unit_test(test_frames),
		cmocka_unit_test(test_archive),	 cmocka_unit_test(test_made_anew),
		cmocka_unit_test(test_commands), cmocka_unit_test(test_from_outside),
	};

	return cmocka_run_group_tests_name("agent docker", tests, NULL, NULL);
}
