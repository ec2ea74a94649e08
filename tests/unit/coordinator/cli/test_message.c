/* Texts from the wire are safe to print, and every message is proper JSON. */
#include "coordinator/cli/message.h"

#include <jansson.h>
#include <locale.h>
#include <string.h>

#include "../../test.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/words.h"
#include "golden.h"
#include "made_up.h"

static void
test_a_copy_is_clean_to_its_leaves(void **state)
{
	Fermata__ControlEvent event = FERMATA__CONTROL_EVENT__INIT;
	_cleanup_(co_event_freep) Fermata__ControlEvent *copy = NULL;

	(void)state;
	event.what_case = FERMATA__CONTROL_EVENT__WHAT_STATUS;
	event.status = made_up_status();
	event.status->nodes[0]->detail = (char *)(uintptr_t) "a\033b";
	event.status->run->steps[1]->says = (char *)(uintptr_t) "c\nx";
	copy = co_event_copy(&event);
	assert_string_equal(copy->status->nodes[0]->detail, "a?b");
	assert_string_equal(copy->status->run->steps[1]->says, "c x");
	assert_string_equal(copy->status->nodes[1]->name, "app2");
	assert_string_equal(co_event_name(copy), "status");
	assert_ptr_equal(co_event_body(copy), copy->status);
}

static json_t *
parsed(const ProtobufCMessage *message)
{
	json_error_t error;
	FILE *out = golden_open();

	co_json_message(out, message);
	json_t *json = json_loads(golden_text(), 0, &error);
	if (!json) fail_msg("%s: %s", error.text, golden_text());
	return json;
}

static void
test_json_says_every_field(void **state)
{
	Fermata__End end = FERMATA__END__INIT;

	(void)state;
	end.code = FERMATA__EXIT_CODE__EXIT_CODE_OPERATOR;
	end.text = (char *)(uintptr_t) "a \"b\" \\ \x01 \xc3\xbc";
	end.run = UINT64_MAX >> 1;
	json_t *json = parsed(&end.base);
	assert_int_equal(json_integer_value(json_object_get(json, "code")), 4);
	assert_string_equal(json_string_value(json_object_get(json, "text")), end.text);
	assert_string_equal(json_string_value(json_object_get(json, "next")), "");
	assert_int_equal(json_integer_value(json_object_get(json, "run")), INT64_MAX);
	json_decref(json);

	json = parsed(&made_up_status()->base);
	json_t *nodes = json_object_get(json, "nodes");
	assert_int_equal(json_array_size(nodes), 3);
	assert_true(json_is_false(json_object_get(json_array_get(nodes, 2), "connected")));
	json_t *run = json_object_get(json, "run");
	assert_int_equal(json_array_size(json_object_get(run, "steps")), 11);
	json_decref(json);

	Fermata__Plan plan = FERMATA__PLAN__INIT;
	char *refusals[] = { (char *)(uintptr_t) "one", (char *)(uintptr_t) "two" };
	plan.refusals = refusals;
	plan.n_refusals = 2;
	json = parsed(&plan.base);
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "refusals"), 1)),
			    "two");
	json_decref(json);

	Fermata__ClusterStatus empty = FERMATA__CLUSTER_STATUS__INIT;
	json = parsed(&empty.base);
	assert_true(json_is_null(json_object_get(json, "run")));
	json_decref(json);
}

static void
test_a_text_is_cut_by_columns(void **state)
{
	char cut[64];

	(void)state;
	assert_int_equal(co_width("abc"), 3);
	assert_int_equal(co_width("\033[1;31mabc\033[0m"), 3);
	assert_int_equal(co_width("Gr\xc3\xbc\xc3\x9f"), 4);
	assert_int_equal(co_width("\xe9\x9f\xb3"), 2); /* a wide character */
	assert_int_equal(co_clip(cut, sizeof(cut), "abcdef", 6), 6);
	assert_string_equal(cut, "abcdef");
	assert_int_equal(co_clip(cut, sizeof(cut), "abcdef", 5), 5);
	assert_string_equal(cut, "abcd~");
	assert_int_equal(co_clip(cut, sizeof(cut), "a\xe9\x9f\xb3\xe9\x9f\xb3", 4), 4);
	assert_string_equal(cut, "a\xe9\x9f\xb3~");
	assert_int_equal(co_clip(cut, 4, "abcdef", 5), 3); /* a small buffer cuts earlier */
	assert_string_equal(cut, "ab~");
	assert_int_equal(co_clip(cut, sizeof(cut), "ab", 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_copy_is_clean_to_its_leaves),
		cmocka_unit_test(test_json_says_every_field),
		cmocka_unit_test(test_a_text_is_cut_by_columns),
	};

	assert_non_null(setlocale(LC_ALL, "C.UTF-8"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
