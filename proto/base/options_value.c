#include "base/options_value.h"

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"

#define ITEM_SIZE 256
#define SPACES " \t"

/* Calls for each word of a list; false when one is refused or too long. *ret_count words seen. */
static bool
each_word(const char *list, bool (*is_good)(const char *word), unsigned *ret_count)
{
	*ret_count = 0;
	for (list += strspn(list, SPACES); *list; list += strspn(list, SPACES)) {
		char word[ITEM_SIZE];
		size_t size = strcspn(list, SPACES);

		if (size >= sizeof word) return false;
		memcpy(word, list, size);
		word[size] = '\0';
		if (!is_good(word)) return false;
		list += size;
		(*ret_count)++;
	}
	return true;
}

static bool
is_name_word(const char *word)
{
	return fm_is_name(word, 64);
}

static bool
is_address_word(const char *word)
{
	const char *colon = strrchr(word, ':');
	unsigned long long port;

	if (!colon || colon == word || !fm_parse_u64(colon + 1, 1, 65535, &port)) return false;
	if (word[0] == '[') return colon - word > 3 && colon[-1] == ']';
	return memchr(word, ':', (size_t)(colon - word)) == NULL;
}

/* White space for people in a list becomes one blank. */
static void
squeeze(char *list)
{
	char *out = list;

	for (const char *in = list + strspn(list, SPACES); *in; in += strspn(in, SPACES)) {
		size_t size = strcspn(in, SPACES);

		if (out != list) *out++ = ' ';
		memmove(out, in, size);
		out += size;
		in += size;
	}
	*out = '\0';
}

static bool
is_choice(const char *choices, const char *value)
{
	size_t size = strlen(value);

	while (size && *choices) {
		size_t n = strcspn(choices, "|");

		if (n == size && memcmp(choices, value, n) == 0) return true;
		choices += n + (choices[n] == '|');
	}
	return false;
}

/* Is the text one that this row may hold? */
static bool
is_text_good(const struct fm_opt *opt, const char *value)
{
	size_t size = strlen(value);
	unsigned count;

	switch (opt->type) {
	case FM_OPT_TEXT:
		return (long long)size >= opt->min && (!opt->max || (long long)size <= opt->max);
	case FM_OPT_NAME:
		return fm_is_name(value, opt->size);
	case FM_OPT_NAMES:
		if (!each_word(value, is_name_word, &count)) return false;
		return (long long)count >= opt->min && (!opt->max || (long long)count <= opt->max);
	case FM_OPT_PATH:
		return value[0] == '/';
	case FM_OPT_CHOICE:
		return is_choice(opt->choices, value);
	case FM_OPT_ADDRESS:
		return each_word(value, is_address_word, &count) && count > 0;
	case FM_OPT_NUMBER:
	case FM_OPT_DURATION:
	case FM_OPT_BOOL:
		break;
	}
	return false;
}

static bool
set_number(const struct fm_opt *opt, void *field, const char *value)
{
	unsigned long long size;
	long long number;
	bool is_negative = opt->type == FM_OPT_NUMBER && value[0] == '-';

	if (opt->type == FM_OPT_DURATION) {
		if (!fm_parse_duration(value, &number)) return false;
	} else {
		if (!fm_parse_u64(value + is_negative, 0, INT64_MAX, &size)) return false;
		number = is_negative ? -(long long)size : (long long)size;
	}
	if ((opt->min || opt->max) && (number < opt->min || number > opt->max)) return false;
	CHECK(opt->size == sizeof number);
	memcpy(field, &number, sizeof number);
	return true;
}

static bool
set_bool(const struct fm_opt *opt, void *field, const char *value)
{
	bool is_on = is_choice("yes|on|true", value);

	CHECK(opt->size == sizeof is_on);
	if (!is_on && !is_choice("no|off|false", value)) return false;
	memcpy(field, &is_on, sizeof is_on);
	return true;
}

static bool
set_text(const struct fm_opt *opt, char *field, const char *value)
{
	bool is_unset = value[0] == '\0' && opt->fallback && opt->fallback[0] == '\0';

	if (!is_unset && !is_text_good(opt, value)) return false;
	if (!fm_copy(field, opt->size, value)) return false;
	if (opt->type == FM_OPT_NAMES || opt->type == FM_OPT_ADDRESS) squeeze(field);
	return true;
}

bool
fm_option_set(const struct fm_opt *opt, void *settings, const char *value, char *why,
	      size_t why_size)
{
	char *field = (char *)settings + opt->offset;
	char range[160];
	bool is_good;

	switch (opt->type) {
	case FM_OPT_NUMBER:
	case FM_OPT_DURATION:
		is_good = set_number(opt, field, value);
		break;
	case FM_OPT_BOOL:
		is_good = set_bool(opt, field, value);
		break;
	case FM_OPT_TEXT:
	case FM_OPT_NAME:
	case FM_OPT_NAMES:
	case FM_OPT_PATH:
	case FM_OPT_CHOICE:
	case FM_OPT_ADDRESS:
	default:
		is_good = set_text(opt, field, value);
		break;
	}
	if (is_good) return true;
	(void)fm_format(why, why_size, "is not %s", fm_option_range(opt, range, sizeof range));
	return false;
}

/* A duration as it would be written: "1h30m". */
static void
write_duration(char *dst, size_t size, long long ms)
{
	static const struct {
		const char *name;
		long long ms;
	} units[] = {
		{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }
	};

	dst[0] = '\0';
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (ms / units[i].ms == 0) continue;
		(void)fm_append(dst, size, "%lld%s", ms / units[i].ms, units[i].name);
		ms %= units[i].ms;
	}
	if (!dst[0]) (void)fm_copy(dst, size, "0s");
}

static void
add_limits(const struct fm_opt *opt, char *dst, size_t size)
{
	char min[32], max[32];

	if (!opt->min && !opt->max) return;
	if (opt->type == FM_OPT_DURATION) {
		write_duration(min, sizeof min, opt->min);
		write_duration(max, sizeof max, opt->max);
	} else {
		(void)FM_FORMAT(min, "%lld", opt->min);
		(void)FM_FORMAT(max, "%lld", opt->max);
	}
	(void)fm_append(dst, size, ", %s to %s", min, max);
}

char *
fm_option_range(const struct fm_opt *opt, char *dst, size_t size)
{
	long long most = opt->max ? opt->max : (long long)opt->size - 1;

	switch (opt->type) {
	case FM_OPT_TEXT:
		(void)fm_format(dst, size, "a text of %lld to %lld bytes", opt->min, most);
		break;
	case FM_OPT_NAME:
		(void)fm_format(dst, size, "a name (letters, digits, . _ -; at most %zu bytes)",
				opt->size - 1);
		break;
	case FM_OPT_NAMES:
		(void)fm_copy(dst, size, "a list of names separated by blanks");
		add_limits(opt, dst, size);
		break;
	case FM_OPT_PATH:
		(void)fm_format(dst, size, "an absolute path of at most %zu bytes", opt->size - 1);
		break;
	case FM_OPT_CHOICE:
		(void)fm_format(dst, size, "one of %s", opt->choices);
		break;
	case FM_OPT_ADDRESS:
		(void)fm_copy(dst, size, "host:port, or several separated by blanks");
		break;
	case FM_OPT_NUMBER:
		(void)fm_copy(dst, size, "a number");
		add_limits(opt, dst, size);
		break;
	case FM_OPT_DURATION:
		(void)fm_copy(dst, size, "a duration like 500ms, 10s or 1h30m");
		add_limits(opt, dst, size);
		break;
	case FM_OPT_BOOL:
	default:
		(void)fm_copy(dst, size, "yes or no");
		break;
	}
	return dst;
}

char *
fm_option_value(const struct fm_opt *opt, const void *settings, char *dst, size_t size)
{
	const char *field = (const char *)settings + opt->offset;
	long long number = 0;

	switch (opt->type) {
	case FM_OPT_NUMBER:
	case FM_OPT_DURATION:
		memcpy(&number, field, sizeof number);
		break;
	case FM_OPT_BOOL:
	case FM_OPT_TEXT:
	case FM_OPT_NAME:
	case FM_OPT_NAMES:
	case FM_OPT_PATH:
	case FM_OPT_CHOICE:
	case FM_OPT_ADDRESS:
	default:
		break;
	}
	if (opt->secret)
		(void)fm_copy(dst, size, "***");
	else if (opt->type == FM_OPT_NUMBER)
		(void)fm_format(dst, size, "%lld", number);
	else if (opt->type == FM_OPT_DURATION)
		write_duration(dst, size, number);
	else if (opt->type == FM_OPT_BOOL)
		(void)fm_copy(dst, size, *field ? "yes" : "no");
	else
		(void)fm_copy(dst, size, field);
	return dst;
}
