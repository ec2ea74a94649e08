#include "coordinator/store/dbjob/frames.h"

#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "wire/frame.h"

static int
read_whole(int fd, uint8_t *to, size_t size, struct fm_err *err)
{
	while (size > 0) {
		ssize_t n = read(fd, to, size);

		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return fm_fail(err, FM_ERR_IO, errno, "read the order");
		if (n == 0) return fm_fail(err, FM_ERR_PEER, 0, "the order ends too early");
		to += n;
		size -= (size_t)n;
	}
	return 0;
}

Fermata__Envelope *
db_read_order(int fd, struct fm_err *err)
{
	Fermata__Envelope *envelope;
	uint8_t head[FM_FRAME_HEAD];
	_cleanup_free_ uint8_t *body = NULL;
	size_t size;

	if (read_whole(fd, head, sizeof head, err) < 0) return NULL;
	if (fm_frame_head(head, FERMATA__ROLE__ROLE_COORDINATOR, &size, err) < 0) return NULL;
	body = fm_new(uint8_t, size);
	if (read_whole(fd, body, size, err) < 0) return NULL;
	envelope = fm_frame_unpack(body, size, FERMATA__ROLE__ROLE_COORDINATOR, err);
	if (envelope && envelope->body_case != FERMATA__ENVELOPE__BODY_JOB_ORDER) {
		fm_fail(err, FM_ERR_PEER, 0, "%s is no order",
			fm_body_name((int)envelope->body_case));
		fm_envelope_freep(&envelope);
	}
	return envelope;
}

int
db_write_report(int fd, Fermata__JobReport *report, struct fm_err *err)
{
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	_cleanup_free_ uint8_t *frame = NULL;
	size_t size, done = 0;

	envelope.body_case = FERMATA__ENVELOPE__BODY_JOB_REPORT;
	envelope.job_report = report;
	frame = fm_frame_pack(&envelope, &size);
	while (done < size) {
		ssize_t n = write(fd, frame + done, size - done);

		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return fm_fail(err, FM_ERR_IO, errno, "write the report");
		done += (size_t)n;
	}
	return 0;
}
