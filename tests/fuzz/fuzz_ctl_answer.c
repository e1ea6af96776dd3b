/* What mtrelayctl makes of an agent's answer: status, stats, pause and the like, as text and as
 * JSON. The first byte chooses the command, the rest is what the socket gives, in pieces of up to
 * 200 bytes. */
#include "config.h"
#include <errno.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include "agent/ctl.h"
#include "tests/fuzz/fuzz.h"

static struct bytes answer;
static bool has_complained;

/* The agent at the other end. */
int
connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)fd;
	(void)sa;
	(void)len;
	return 0;
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	(void)fd;
	(void)p;
	(void)flags;
	return (ssize_t)n;
}

ssize_t
recv(int fd, void *p, size_t n, int flags)
{
	struct bytes part = take_some(&answer, n < 200 ? n : 200);

	(void)fd;
	(void)flags;
	memcpy(p, part.p, part.n);
	return (ssize_t)part.n;
}

/* What agent/mtrelayctl.c has beside its main program. */
int
ctl_complain(const struct ctl *c, int status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	(void)c;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	must(text[0] != '\0' || status != 0);
	has_complained = true;
	return status;
}

int
ctl_need_conf(struct ctl *c)
{
	(void)c;
	abort();
}

void
ctl_print_json(json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);

	must(text != NULL);
	free(text);
	json_decref(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctl c = { .socket = "/fuzz" };
	struct bytes in = { data, size };
	unsigned kind = take_byte(&in);
	char status[] = "status", stats[] = "stats", pause_word[] = "pause", channel[] = "infobip";
	char *argv[][3] = { { status }, { stats }, { pause_word, channel } };
	int result;

	answer = in;
	has_complained = false;
	c.is_json = (kind & 4) != 0;
	switch (kind & 3) {
	case 0:
		result = ctl_status(&c, 1, argv[0]);
		break;
	case 1:
		result = ctl_stats(&c, 1, argv[1]);
		break;
	default:
		result = ctl_words(&c, 2, argv[2]);
		break;
	}
	must(result == 0 || result == CTL_WARN || result == CTL_FAIL || has_complained);
	return 0;
}
