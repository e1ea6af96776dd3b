#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/notify.h"
#include "agent/text.h"

static int sock = -1;
static struct sockaddr_un address;
static socklen_t address_len;
static int64_t watchdog_ms;

static enum rc
read_watchdog(struct err *e)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	int64_t value;
	int64_t us;

	if (usec == NULL)
		return RC_OK;
	if (!text_i64(usec, 1, INT64_MAX, &us))
		return err_set(e, RC_CONFIG, 0, "notify.open",
			       "WATCHDOG_USEC=%.40s is no number of microseconds", usec);
	if (pid != NULL && (!text_i64(pid, 1, INT32_MAX, &value) || value != getpid()))
		return RC_OK; /* meant for our parent */
	watchdog_ms = us / 2000;
	if (watchdog_ms == 0)
		watchdog_ms = 1;
	return RC_OK;
}

enum rc
notify_open(struct err *e)
{
	const char *path = getenv("NOTIFY_SOCKET");
	enum rc rc = RC_OK;
	size_t n;

	notify_close();
	if (path == NULL || path[0] == '\0')
		goto out;
	rc = read_watchdog(e);
	if (rc != RC_OK)
		goto out;
	n = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || n >= sizeof address.sun_path) {
		rc = err_set(e, RC_CONFIG, 0, "notify.open",
			     "NOTIFY_SOCKET=%.100s is neither an absolute path nor an abstract "
			     "name that fits",
			     path);
		goto out;
	}
	memset(&address, 0, sizeof address);
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path, path, n);
	address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	else
		address_len++;
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		rc = err_set(e, RC_CONFIG, errno, "notify.open", "socket: %s", strerror(errno));
out:
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	return rc;
}

void
notify_close(void)
{
	if (sock >= 0)
		close(sock);
	sock = -1;
	watchdog_ms = 0;
}

int64_t
notify_watchdog_ms(void)
{
	return watchdog_ms;
}

static void
send_state(const char *state)
{
	ssize_t n;

	if (sock < 0)
		return;
	do
		n = sendto(sock, state, strlen(state), MSG_NOSIGNAL,
			   (const struct sockaddr *)&address, address_len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		log_event(LOG_LEVEL_WARN, "notify.failed",
			  "text=\"the service manager's socket refused: %s\"", strerror(errno));
}

void
notify_ready(void)
{
	send_state("READY=1");
}

void
notify_reloading(void)
{
	char state[64];

	/* Type=notify-reload wants the moment, to tell our answer from an older one. */
	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_us());
	send_state(state);
}

void
notify_stopping(void)
{
	send_state("STOPPING=1");
}

void
notify_status(const char *fmt, ...)
{
	char state[256] = "STATUS=";
	size_t at = strlen(state);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(state + at, sizeof state - at, fmt, ap);
	va_end(ap);
	/* A line break would begin another assignment. */
	for (; state[at] != '\0'; at++) {
		if (state[at] == '\n')
			state[at] = ' ';
	}
	send_state(state);
}

void
notify_watchdog(void)
{
	send_state("WATCHDOG=1");
}

void
notify_extend(int64_t ms)
{
	char state[64];

	snprintf(state, sizeof state, "EXTEND_TIMEOUT_USEC=%" PRId64, ms * 1000);
	send_state(state);
}
