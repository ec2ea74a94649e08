/* settings.c - the table of settings, and what the core takes from them. */
#include "coordinator/settings.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "base/words.h"

#define FIELD(f) offsetof(struct co_settings, f), sizeof(((struct co_settings *)0)->f)

/* clang-format off */
const struct fm_opt co_options[] = {
#define CO_OPTION(section_, key_, type_, field_, fallback_, min_, max_, choices_, help_)           \
	{ section_, key_, FM_OPT_##type_, FIELD(field_), fallback_, min_, max_, choices_, false, false, help_ },
#include "coordinator/options.def"
#undef CO_OPTION
#define CO_LIMIT(name_, key_, fallback_, progress_, asks_, help_)                                  \
	{ "limits", #key_, FM_OPT_DURATION, FIELD(limits_ms[CO_LIMIT_##name_]), fallback_, 1000, 2592000000LL, NULL, false, false, "How long to wait " help_ "." },
#include "coordinator/run/limits.def"
#undef CO_LIMIT
	{ .section = NULL },
};
/* clang-format on */

/* Splits at white space; -1: more than most, or twice the same. */
static int
split(const char *list, char names[][FM_NAME_SIZE], unsigned most, unsigned *ret_count,
      struct fm_err *err)
{
	unsigned count = 0;

	while (*(list += strspn(list, " \t,")) != '\0') {
		size_t length = strcspn(list, " \t,");

		if (count == most)
			return fm_fail(err, FM_ERR_CONFIG, 0, "more than %u names", most);
		fm_format(names[count], FM_NAME_SIZE, "%.*s", (int)length, list);
		for (unsigned i = 0; i < count; i++)
			if (fm_is_equal(names[i], names[count]))
				return fm_fail(err, FM_ERR_CONFIG, 0, "%s is named twice",
					       names[count]);
		count++;
		list += length;
	}
	*ret_count = count;
	return 0;
}

static int
take_workers(const char *list, struct co_config *config, struct fm_err *err)
{
	char names[FM_NODES_MAX][FM_NAME_SIZE];
	unsigned count = 0;

	if (split(list, names, FM_NODES_MAX, &count, err) != 0) return -1;
	for (unsigned i = 0; i < count; i++) {
		unsigned k = 0;

		while (k < config->node_count && !fm_is_equal(config->nodes[k], names[i])) k++;
		if (k == config->node_count)
			return fm_fail(err, FM_ERR_CONFIG, 0, "%s is not one of nodes", names[i]);
		config->workers[k] = true;
	}
	if (count == config->node_count)
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "all nodes are workers: who serves visitors?");
	return 0;
}

int
co_settings_config(const struct co_settings *settings, struct co_config *ret, struct fm_err *err)
{
	struct fm_words words;

	memset(ret, 0, sizeof(*ret));
	FM_COPY(ret->cluster, settings->cluster);
	if (split(settings->nodes, ret->nodes, FM_NODES_MAX, &ret->node_count, err) != 0)
		return fm_wrap(err, "[cluster] nodes");
	if (take_workers(settings->workers, ret, err) != 0)
		return fm_wrap(err, "[cluster] workers");
	if (split(settings->gates, ret->gates, FM_GATES_MAX, &ret->gate_count, err) != 0)
		return fm_wrap(err, "[cluster] gates");
	if (!fm_is_empty(settings->public_url) &&
	    !fm_is_site(settings->public_url, sizeof(settings->public_url)))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "[cluster] public_url: \"%s\" is not an address such as "
			       "https://intranet.example",
			       settings->public_url);
	if (!fm_is_empty(settings->notify) && fm_words_split(&words, settings->notify, err) != 0)
		return fm_wrap(err, "[notify] command");
	ret->open_first = fm_is_equal(settings->open_when, "first");
	ret->rollback_auto = fm_is_equal(settings->rollback, "auto");
	ret->keep_releases = (unsigned)settings->keep_releases;
	for (unsigned i = 0; i < CO_LIMITS; i++) ret->limits_ms[i] = settings->limits_ms[i];
	return 0;
}
