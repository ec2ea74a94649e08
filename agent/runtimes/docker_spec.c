#include "agent/runtimes/docker_spec.h"

#include <string.h>

#include "agent/runtimes/docker_text.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

#define SKIP "SKIP_SAME_VERSION_UPGRADE"
#define SHORT_ID 12

const json_t *
ag_docker_at(const json_t *root, const char *path)
{
	char key[64];

	while (root && *path) {
		size_t len = strcspn(path, ".");

		if (!FM_FORMAT(key, "%.*s", (int)len, path)) return NULL;
		root = json_object_get(root, key);
		path += len + (path[len] == '.');
	}
	return root;
}

const char *
ag_docker_text_at(const json_t *root, const char *path)
{
	const char *text = json_string_value(ag_docker_at(root, path));

	return text ? text : "";
}

/* ---- environment ---- */

/* Of "NAME=value". */
static bool
is_named(const char *row, const char *name)
{
	size_t len = strlen(name);

	return strncmp(row, name, len) == 0 && row[len] == '=';
}

const char *
ag_docker_env(const json_t *container, const char *name)
{
	const json_t *row, *rows = ag_docker_at(container, "Config.Env");
	const char *found = NULL;
	size_t i;

	json_array_foreach(rows, i,
			   row) if (json_is_string(row) && is_named(json_string_value(row), name))
		found = json_string_value(row) + strlen(name) + 1;
	return found;
}

static bool
holds(const json_t *array, const json_t *wanted)
{
	const json_t *one;
	size_t i;

	json_array_foreach(array, i, one) if (json_equal(one, wanted)) return true;
	return false;
}

static json_t *
env_of(const json_t *config, const json_t *image, enum fm_start_mode mode)
{
	json_t *env = json_array(), *row;
	const json_t *own = json_object_get(image, "Env");
	size_t i;

	json_array_foreach(json_object_get(config, "Env"), i, row)
	{
		if (!json_is_string(row) || is_named(json_string_value(row), SKIP)) continue;
		if (!holds(own, row)) json_array_append(env, row);
	}
	/* nocobase: the image upgrades at every start, and without this also to the version it has. */
	if (mode == FM_START_PLAIN) json_array_append_new(env, json_string(SKIP "=true"));
	return env;
}

/* ---- the configuration ---- */

/* Keys of the image's own that have the image's own value. */
static void
subtract_keys(json_t *object, const json_t *own)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key,
				 value) if (json_object_get(own, key) &&
					    json_equal(value, json_object_get(own, key)))
		json_object_del(object, key);
}

static void
subtract(json_t *config, const json_t *image, const char *key)
{
	json_t *value = json_object_get(config, key);
	const json_t *own = json_object_get(image, key);

	if (json_is_object(value) && strcmp(key, "Healthcheck") != 0)
		subtract_keys(value, own);
	else if (!value || json_is_null(value) || json_equal(value, own))
		json_object_del(config, key);
}

/* An entrypoint of one's own puts the image's command out of force: then even the same command was
 * asked for. */
static void
subtract_command(json_t *config, const json_t *image)
{
	bool is_own = json_equal(json_object_get(config, "Entrypoint"),
				 json_object_get(image, "Entrypoint"));

	if (!is_own) return;
	json_object_del(config, "Entrypoint");
	if (json_equal(json_object_get(config, "Cmd"), json_object_get(image, "Cmd")))
		json_object_del(config, "Cmd");
}

static void
put_labels(json_t *config, const struct ag_docker_change *change)
{
	json_t *labels = json_object_get(config, "Labels");

	if (!json_is_object(labels)) {
		labels = json_object();
		json_object_set_new(config, "Labels", labels);
	}
	json_object_set_new(labels, AG_LABEL_NODE, json_string(change->node));
	json_object_set_new(labels, AG_LABEL_VERSION, json_string(change->version));
	json_object_set_new(labels, AG_LABEL_DIGEST, json_string(change->digest));
	json_object_set_new(labels, AG_LABEL_MODE, json_string(fm_start_mode_name(change->mode)));
	json_object_set_new(labels, AG_LABEL_RESTART,
			    json_string(change->restart[0] ? change->restart : "no"));
}

/* A name that the engine made up is not asked for again; on the host's network it is the host's. */
static void
drop_host_name(json_t *config, const json_t *container)
{
	const char *name = ag_docker_text_at(config, "Hostname");
	const char *mode = ag_docker_text_at(container, "HostConfig.NetworkMode");

	if (strcmp(mode, "host") == 0 || strncmp(mode, "container:", 10) == 0 ||
	    (name[0] && strncmp(ag_docker_text_at(container, "Id"), name, strlen(name)) == 0))
		json_object_del(config, "Hostname");
	if (strncmp(mode, "container:", 10) == 0) json_object_del(config, "ExposedPorts");
}

static json_t *
config_of(const json_t *container, const json_t *old_image, const struct ag_docker_change *change)
{
	static const char *const keys[] = { "ExposedPorts", "Volumes",	 "Labels",
					    "WorkingDir",   "User",	 "StopSignal",
					    "Healthcheck",  "Shell",	 "OnBuild",
					    "StopTimeout",  "MacAddress" };
	const json_t *image = json_object_get(old_image, "Config");
	json_t *config = json_deep_copy(json_object_get(container, "Config"));

	json_object_set_new(config, "Env", env_of(config, image, change->mode));
	subtract_command(config, image);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) subtract(config, image, keys[i]);
	drop_host_name(config, container);
	json_object_set_new(config, "Image", json_string(change->image));
	put_labels(config, change);
	return config;
}

/* ---- the host's side ---- */

static bool
is_bound(const json_t *host, const char *inside)
{
	const json_t *row;
	size_t i, len = strlen(inside);

	json_array_foreach(json_object_get(host, "Binds"), i, row)
	{
		const char *text = json_string_value(row), *colon = text ? strchr(text, ':') : NULL;

		if (colon && strncmp(colon + 1, inside, len) == 0 &&
		    (colon[1 + len] == '\0' || colon[1 + len] == ':'))
			return true;
	}
	json_array_foreach(json_object_get(host, "Mounts"), i,
			   row) if (strcmp(ag_docker_text_at(row, "Target"), inside) ==
				    0) return true;
	return false;
}

/* A volume without a name of its own belongs to the container: the new one gets the same. */
static void
keep_volumes(json_t *host, const json_t *container)
{
	json_t *binds = json_object_get(host, "Binds");
	const json_t *mount;
	char row[1024];
	size_t i;

	if (!json_is_array(binds)) {
		binds = json_array();
		json_object_set_new(host, "Binds", binds);
	}
	json_array_foreach(json_object_get(container, "Mounts"), i, mount)
	{
		const char *inside = ag_docker_text_at(mount, "Destination");

		if (strcmp(ag_docker_text_at(mount, "Type"), "volume") != 0 ||
		    is_bound(host, inside))
			continue;
		if (FM_FORMAT(row, "%s:%s%s", ag_docker_text_at(mount, "Name"), inside,
			      json_is_false(json_object_get(mount, "RW")) ? ":ro" : ""))
			json_array_append_new(binds, json_string(row));
	}
}

/* The engine says "/other:/this/alias", and wants "other:alias". */
static json_t *
links_of(const json_t *links)
{
	json_t *made = json_array(), *row;
	char text[512];
	size_t i;

	json_array_foreach(links, i, row)
	{
		const char *from = json_string_value(row), *colon = from ? strchr(from, ':') : NULL;
		const char *alias = colon ? strrchr(colon, '/') : NULL;

		if (alias && FM_FORMAT(text, "%.*s:%s", (int)(colon - from - (*from == '/')),
				       from + (*from == '/'), alias + 1))
			json_array_append_new(made, json_string(text));
		else
			json_array_append(made, row);
	}
	return made;
}

static json_t *
host_of(const json_t *container)
{
	json_t *host = json_deep_copy(json_object_get(container, "HostConfig"));

	json_object_del(host, "ContainerIDFile");
	ag_docker_name_ulimits(json_object_get(host, "Ulimits"));
	json_object_set_new(host, "RestartPolicy", ag_docker_restart("no"));
	if (json_is_array(json_object_get(host, "Links")))
		json_object_set_new(host, "Links", links_of(json_object_get(host, "Links")));
	keep_volumes(host, container);
	return host;
}

/* ---- networks ---- */

/* What was asked for, without what the engine gave. */
static json_t *
endpoint_of(const json_t *endpoint, const char *id)
{
	static const char *const keys[] = { "IPAMConfig", "Links", "DriverOpts", "GwPriority" };
	json_t *made = json_object(), *aliases = json_array(), *alias;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		json_t *value = json_object_get(endpoint, keys[i]);

		if (value && !json_is_null(value)) json_object_set(made, keys[i], value);
	}
	json_array_foreach(json_object_get(endpoint, "Aliases"), i, alias)
	{
		const char *name = json_string_value(alias);

		/* Its short id is every container's alias. */
		if (name && !(strlen(name) == SHORT_ID && strncmp(id, name, SHORT_ID) == 0))
			json_array_append(aliases, alias);
	}
	if (json_array_size(aliases)) json_object_set(made, "Aliases", aliases);
	json_decref(aliases);
	return made;
}

/* The network that the container is made in; the others are connected afterwards, because older
 * engines take one. "default" is called "bridge". */
static const char *
first_network(const json_t *container)
{
	const char *mode = ag_docker_text_at(container, "HostConfig.NetworkMode");

	return strcmp(mode, "default") == 0 ? "bridge" : mode;
}

/* The networks that no container asks anything of. */
static bool
is_plain(const char *name)
{
	return strcmp(name, "bridge") == 0 || strcmp(name, "host") == 0 ||
	       strcmp(name, "none") == 0;
}

static json_t *
first_endpoint(const json_t *container)
{
	const json_t *networks = ag_docker_at(container, "NetworkSettings.Networks");
	const char *name = first_network(container);
	const json_t *endpoint = json_object_get(networks, name);

	if (!endpoint || is_plain(name)) return json_object();
	return json_pack("{s{so}}", "EndpointsConfig", name,
			 endpoint_of(endpoint, ag_docker_text_at(container, "Id")));
}

json_t *
ag_docker_networks(const json_t *container)
{
	json_t *made = json_object(), *endpoint;
	const char *name, *first = first_network(container);

	json_object_foreach(
		(json_t *)(uintptr_t)ag_docker_at(container, "NetworkSettings.Networks"), name,
		endpoint) if (strcmp(name, first) != 0)
		json_object_set_new(made, name,
				    endpoint_of(endpoint, ag_docker_text_at(container, "Id")));
	return made;
}

/* ---- the whole ---- */

static int
may_remake(const json_t *container, struct fm_err *err)
{
	const char *name = ag_docker_text_at(container, "Name");

	name += *name == '/';
	if (!json_is_object(json_object_get(container, "Config")) ||
	    !json_is_object(json_object_get(container, "HostConfig")))
		return fm_fail(err, FM_ERR_PEER, 0, "the engine says nothing of container %s",
			       name);
	if (json_is_true(ag_docker_at(container, "HostConfig.AutoRemove")))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "container %s is removed when it ends (--rm), and no way back would "
			       "be left: make it without",
			       name);
	if (ag_docker_at(container, "Config.Labels") &&
	    json_object_get(ag_docker_at(container, "Config.Labels"), "com.docker.swarm.task"))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "container %s belongs to a swarm's service, which would start it "
			       "again by itself: run it as a container or by compose",
			       name);
	return 0;
}

json_t *
ag_docker_spec(const json_t *container, const json_t *old_image,
	       const struct ag_docker_change *change, struct fm_err *err)
{
	json_t *spec;

	if (may_remake(container, err) < 0) return NULL;
	spec = config_of(container, old_image, change);
	json_object_set_new(spec, "HostConfig", host_of(container));
	json_object_set_new(spec, "NetworkingConfig", first_endpoint(container));
	return spec;
}

/* ---- restart policies ---- */

void
ag_docker_restart_text(const json_t *policy, char *dst, size_t size)
{
	const char *name = ag_docker_text_at(policy, "Name");
	json_int_t most = json_integer_value(json_object_get(policy, "MaximumRetryCount"));

	if (most > 0)
		(void)fm_format(dst, size, "%s:%lld", name, (long long)most);
	else
		(void)fm_copy(dst, size, name[0] ? name : "no");
}

json_t *
ag_docker_restart(const char *text)
{
	const char *colon = strchr(text, ':');
	unsigned long long most = 0;
	char name[32];

	(void)FM_FORMAT(name, "%.*s", colon ? (int)(colon - text) : (int)strlen(text), text);
	if (colon) (void)fm_parse_u64(colon + 1, 0, INT32_MAX, &most);
	return json_pack("{ss sI}", "Name", name, "MaximumRetryCount", (json_int_t)most);
}

/* ---- the container from outside ---- */

bool
ag_docker_host_path(const json_t *container, const char *inside, char *dst, size_t size)
{
	const json_t *mount;
	size_t i, best = 0;

	dst[0] = '\0';
	json_array_foreach(json_object_get(container, "Mounts"), i, mount)
	{
		const char *at = ag_docker_text_at(mount, "Destination");
		const char *from = ag_docker_text_at(mount, "Source");
		size_t len = strlen(at);

		while (len > 0 && at[len - 1] == '/') len--;
		if (len < best || !from[0] || strncmp(inside, at, len) != 0) continue;
		if (inside[len] != '\0' && inside[len] != '/') continue;
		best = len;
		if (!fm_format(dst, size, "%s%s", from, inside + len)) dst[0] = '\0';
	}
	return dst[0] != '\0';
}

struct growing {
	char *text;
	size_t len, size;
};

static void
put(struct growing *g, const char *text, size_t len)
{
	if (g->len + len + 1 > g->size) {
		size_t size = 2 * (g->len + len + 1);
		char *fresh = fm_new(char, size);

		if (g->text) {
			memcpy(fresh, g->text, g->len);
			explicit_bzero(g->text, g->len);
			fm_freep(&g->text);
		}
		g->text = fresh;
		g->size = size;
	}
	memcpy(g->text + g->len, text, len);
	g->len += len;
	g->text[g->len] = '\0';
}

/* NAME="value", escaped as agent/world/dotenv.c reads it. */
static void
put_row(struct growing *g, const char *name, size_t len, const char *value)
{
	put(g, name, len);
	put(g, "=\"", 2);
	for (; *value; value++) {
		if (*value == '\n') {
			put(g, "\\n", 2);
			continue;
		}
		if (*value == '"' || *value == '\\') put(g, "\\", 1);
		put(g, value, 1);
	}
	put(g, "\"\n", 2);
}

char *
ag_docker_dotenv(const json_t *container, const char *database)
{
	const json_t *row, *rows = ag_docker_at(container, "Config.Env");
	const char *colon = strrchr(database, ':');
	struct growing g = { NULL, 0, 0 };
	char host[256];
	size_t i;

	put(&g, "# The container's environment.\n", strlen("# The container's environment.\n"));
	json_array_foreach(rows, i, row)
	{
		const char *text = json_string_value(row),
			   *equals = text ? strchr(text, '=') : NULL;

		/* That one is ours, and differs between nodes that are alike. */
		if (equals && equals > text && !is_named(text, SKIP))
			put_row(&g, text, (size_t)(equals - text), equals + 1);
	}
	if (colon && FM_FORMAT(host, "%.*s", (int)(colon - database), database)) {
		put_row(&g, "DB_HOST", strlen("DB_HOST"), host);
		put_row(&g, "DB_PORT", strlen("DB_PORT"), colon + 1);
	}
	return g.text;
}
