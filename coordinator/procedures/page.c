/* page.c - the page by hand, with the application left as it is. */
#include "coordinator/procedures/procedures.h"
#include "coordinator/steps/steps.h"

/* clang-format off */
static const struct co_step page_on_steps[] = {
/*  name              about                            only when            ask for it             done when             write down         job               limit                  if it fails, back to              what it says to people */
  { "preflight",      CO_GATES,                        NULL,                co_ask_attention,      co_is_fit,            NULL,              CO_JOB_NONE,      CO_LIMIT_PREFLIGHT,    CO_REFUSE,   NULL,               "look at every gate" },
  { "close gates",    CO_GATES,                        NULL,                co_ask_page,           co_is_closed,         co_note_closed,    CO_JOB_NONE,      CO_LIMIT_CLOSE,        CO_HALT,     NULL,               "show visitors the maintenance page" },
  { .name = NULL },
};

static const struct co_step page_off_steps[] = {
  { "preflight",      CO_GATES | CO_ALL,               NULL,                co_ask_attention,      co_is_fit_to_serve,   NULL,              CO_JOB_NONE,      CO_LIMIT_PREFLIGHT,    CO_REFUSE,   NULL,               "look at every node and gate" },
  { "open gates",     CO_GATES,                        NULL,                co_ask_open,           co_is_open,           co_note_opened,    CO_JOB_NONE,      CO_LIMIT_OPEN,         CO_HALT,     NULL,               "let visitors in" },
  { .name = NULL },
};
/* clang-format on */

const struct co_procedure co_page_on = {
	.name = "page on",
	.says = "show visitors the maintenance page",
	.then = "fermata page off",
	.command = "maintenance",
	.prepare = co_prepare,
	.steps = page_on_steps,
};

const struct co_procedure co_page_off = {
	.name = "page off",
	.says = "let visitors in again",
	.command = "maintenance",
	.prepare = co_prepare,
	.steps = page_off_steps,
};
