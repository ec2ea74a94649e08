/* The page's words: all there, in every language; which language; when to come back. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ngx_module/fm_gate_words.h"

static const char *
asks_for(const char *value)
{
	return fm_gate_words(fm_gate_language(value, strlen(value)))->tag;
}

static void
every_language_has_every_word(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FM_GATE_LANGUAGES; i++) {
		const struct fm_gate_words *w = fm_gate_words(i);

		assert_true(fm_is_equal(w->dir, "ltr") || fm_is_equal(w->dir, "rtl"));
		assert_true(strlen(w->title) > 0 && strlen(w->message) > 0 && strlen(w->late) > 0);
		assert_true(strlen(w->note) > 0);
		/* one place for the time, and none for anything else */
		assert_non_null(strstr(w->back, "%s"));
		assert_ptr_equal(strchr(w->back, '%'), strrchr(w->back, '%'));
		assert_null(w->phases[FM_PHASE_NONE]);
		for (unsigned k = FM_PHASE_NONE + 1; k < FM_PHASE_COUNT; k++)
			assert_non_null(w->phases[k]);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(w->tag, fm_gate_words(k)->tag);
		assert_string_equal(asks_for(w->tag), w->tag);
	}
	assert_string_equal(fm_gate_words(FM_GATE_LANGUAGES)->tag, "en");
	assert_string_equal(fm_gate_words((unsigned)-1)->tag, "en");
}

static void
weights_decide_and_order_breaks_ties(void **state)
{
	(void)state;
	assert_string_equal(asks_for("de;q=0.5,fr;q=0.6"), "fr");
	assert_string_equal(asks_for("de;q=0.5,fr;q=0.5"), "de");
	assert_string_equal(asks_for("de;q=0.500,fr;q=0.501"), "fr");
	assert_string_equal(asks_for("de;q=0,fr;q=0.0,ko;q=0.001"), "ko");
	assert_string_equal(asks_for("de;q=0"), "en");
	assert_string_equal(asks_for("de;q=2,ru"), "ru");
	assert_string_equal(asks_for("de;q=1.9,fr;q=0.9"), "de");
	assert_string_equal(asks_for("de;level=1,fr;q=0.9"), "fr");
	assert_string_equal(asks_for("en-GB;q=0.8,\tar-EG"), "ar");
	assert_string_equal(asks_for("xx;q=1.0, pt-PT ;q=0.2"), "pt");
}

static void
only_so_many_ranges_are_looked_at(void **state)
{
	char value[8 * (FM_GATE_RANGES + 1)] = "";

	(void)state;
	for (unsigned i = 0; i < FM_GATE_RANGES - 1; i++) FM_APPEND(value, "xx,");
	FM_APPEND(value, "de");
	assert_string_equal(asks_for(value), "de");
	value[0] = '\0';
	for (unsigned i = 0; i < FM_GATE_RANGES; i++) FM_APPEND(value, "xx,");
	FM_APPEND(value, "de");
	assert_string_equal(asks_for(value), "en");
}

/* Every prefix, without a NUL behind it: sanitizers see a step too far. */
static void
any_bytes_will_do(void **state)
{
	static const char text[] = "de-AT;q=0.123,\xff;q=,*;q=1,zh ; q=0.9,,;;q=0.9-";

	(void)state;
	for (size_t size = 0; size < sizeof(text); size++) {
		char *copy = malloc(size == 0 ? 1 : size);

		assert_non_null(copy);
		memcpy(copy, text, size);
		assert_true(fm_gate_language(copy, size) < FM_GATE_LANGUAGES);
		free(copy);
	}
}

static void
retry_after_is_bounded_and_spread(void **state)
{
	uint32_t least = UINT32_MAX, most = 0;

	(void)state;
	for (uint32_t client = 0; client < 1000; client++) {
		uint32_t wait = fm_gate_retry_after(1000, 1400, 10, client * 2654435761u);

		if (wait < least) least = wait;
		if (wait > most) most = wait;
		assert_int_equal(wait, fm_gate_retry_after(1000, 1400, 10, client * 2654435761u));
	}
	assert_int_equal(least, 400);
	assert_int_equal(most, 400 + FM_GATE_RETRY_SPREAD);
	assert_int_equal(fm_gate_retry_after(1000, 1001, 10, 0), FM_GATE_RETRY_FLOOR);
	assert_int_equal(fm_gate_retry_after(1000, 0, 10, 0), 10);
	assert_int_equal(fm_gate_retry_after(1000, 999, 10, 2), 12);
	assert_int_equal(fm_gate_retry_after(1000, 999, 10, 3), 10);
	assert_int_equal(fm_gate_retry_after(1000, 0, -5, 0), FM_GATE_RETRY_FLOOR);
	assert_int_equal(fm_gate_retry_after(1000, INT64_MAX, 10, 0), FM_GATE_RETRY_CEIL);
	assert_int_equal(fm_gate_retry_after(1000, INT64_MIN, INT64_MAX, 0), FM_GATE_RETRY_CEIL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_language_has_every_word),
		cmocka_unit_test(weights_decide_and_order_breaks_ties),
		cmocka_unit_test(only_so_many_ranges_are_looked_at),
		cmocka_unit_test(any_bytes_will_do),
		cmocka_unit_test(retry_after_is_bounded_and_spread),
	};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
