/* say.c - what a job says: on its way, at once; and of its end, kept for the final report. */
#include <stdarg.h>
#include <unistd.h>

#include "base/text.h"
#include "coordinator/store/dbjob/frames.h"
#include "coordinator/store/dbjob/job.h"

void
db_progress(struct db_job *job, const char *fmt, ...)
{
	Fermata__JobReport report = FERMATA__JOB_REPORT__INIT;
	char text[FM_TEXT_SIZE];
	va_list args;

	(void)job;
	va_start(args, fmt);
	fm_format_args(text, sizeof text, fmt, args);
	va_end(args);
	report.text = text;
	/* Who does not listen any more will miss the final report as well, and that one counts. */
	(void)db_write_report(STDOUT_FILENO, &report, NULL);
}

void
db_say(struct db_job *job, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fm_format_args(job->text, sizeof job->text, fmt, args);
	va_end(args);
}
