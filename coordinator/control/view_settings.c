/* view_settings.c - the settings in force, from the table of settings. */
#include "base/text.h"
#include "coordinator/control/control.h"

#define TEXT(s) ((char *)(uintptr_t)(s))

void
co_view_settings(struct co_daemon *daemon, struct co_client *client)
{
	static Fermata__Setting settings[FM_OPTS_MAX]; /* large; one thread */
	static char values[FM_OPTS_MAX][FM_TEXT_SIZE], origins[FM_OPTS_MAX][FM_TEXT_SIZE];
	Fermata__Setting *list[FM_OPTS_MAX];
	Fermata__Settings msg = FERMATA__SETTINGS__INIT;

	for (unsigned i = 0; co_options[i].section != NULL; i++) {
		Fermata__Setting *s = &settings[i];

		fermata__setting__init(s);
		s->section = TEXT(co_options[i].section);
		s->key = TEXT(co_options[i].key);
		s->help = TEXT(co_options[i].help);
		s->value = fm_option_value(&co_options[i], &daemon->settings, values[i],
					   sizeof(values[i]));
		if (daemon->origins.line[i] == 0)
			FM_COPY(origins[i], "default");
		else
			FM_FORMAT(origins[i], "%s:%d", daemon->config_path,
				  daemon->origins.line[i]);
		s->origin = origins[i];
		list[i] = s;
		msg.n_settings = i + 1;
	}
	msg.settings = list;
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_SETTINGS, &msg);
}
