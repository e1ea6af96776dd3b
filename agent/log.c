#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <syslog.h>
#include <unistd.h>
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/stats.h"
#include "agent/text.h"

#define LINE_BYTES 1536
#define TEXT_BYTES 1024
#define REPEAT_MS 60000
#define REPEAT_SLOTS 64
#define REPEAT_TEXT_BYTES 240
#define FORMAT_BYTES 512
/* A quote of a format, which delimits a value; one of an argument is a part of it. No UTF-8. */
#define QUOTE "\xff\x01"
#define QUOTE_BYTES (sizeof QUOTE - 1)

/* A line written lately and how often it was asked for again since. */
struct repeat {
	uint32_t hash; /* 0: free */
	enum log_level level;
	int64_t written_ms;
	int64_t count;
	char event[48];
	char text[REPEAT_TEXT_BYTES];
};

/* Guards all that follows but the level. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static enum log_sink sink = LOG_SINK_STDERR;
static int fd = STDERR_FILENO;
static char *file_path;
static char last_error[512];
static struct repeat repeats[REPEAT_SLOTS];
static int64_t flushed_ms;
static _Atomic int current_level = LOG_LEVEL_WARN;

static const struct {
	const char *word;
	const char *label;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "ERROR", LOG_ERR },
	[LOG_LEVEL_WARN] = { "warn", "WARN", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "info", "INFO", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", "DEBUG", LOG_DEBUG },
};

static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

/* The mutex is held. */
static void
close_sink(void)
{
	if (sink == LOG_SINK_FILE)
		close(fd);
	if (sink == LOG_SINK_SYSLOG)
		closelog();
	free(file_path);
	file_path = NULL;
	sink = LOG_SINK_STDERR;
	fd = STDERR_FILENO;
}

enum rc
log_open(enum log_sink new_sink, const char *path, enum log_level level, struct err *e)
{
	char *copy = NULL;
	int new_fd = STDERR_FILENO;

	if (new_sink == LOG_SINK_FILE) {
		copy = strdup(path);
		if (copy == NULL)
			return err_set(e, RC_NOMEM, 0, "log.open", "no memory for the log");
		new_fd = open_file(path);
		if (new_fd < 0) {
			int native = errno;

			free(copy);
			return err_set(e, RC_CONFIG, native, "log.open",
				       "the log file %s cannot be opened: %s", path,
				       strerror(native));
		}
	}
	pthread_mutex_lock(&mutex);
	close_sink();
	sink = new_sink;
	fd = new_fd;
	file_path = copy;
	if (sink == LOG_SINK_SYSLOG)
		openlog(PACKAGE_NAME, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	pthread_mutex_unlock(&mutex);
	current_level = level;
	return RC_OK;
}

enum rc
log_reopen(struct err *e)
{
	enum rc rc = RC_OK;
	int new_fd;

	pthread_mutex_lock(&mutex);
	if (sink == LOG_SINK_FILE) {
		new_fd = open_file(file_path);
		if (new_fd < 0) {
			rc = err_set(
				e, RC_CONFIG, errno, "log.reopen",
				"the log file %s cannot be opened again, the old one stays: %s",
				file_path, strerror(errno));
		} else {
			close(fd);
			fd = new_fd;
		}
	}
	pthread_mutex_unlock(&mutex);
	return rc;
}

void
log_set_level(enum log_level level)
{
	current_level = level;
}

enum log_level
log_get_level(void)
{
	return (enum log_level)current_level;
}

bool
log_level_parse(const char *word, enum log_level *out)
{
	size_t i;

	for (i = 0; i < sizeof levels / sizeof levels[0]; i++) {
		if (strcmp(word, levels[i].word) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static bool
is_unsafe(int32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

/* What could end the line, drive a terminal or break a reader's UTF-8 becomes \n, \r, \t or
 * \xNN; between quotes a quote or a backslash gets a backslash. */
static void
escape(char *out, size_t size, const char *text)
{
	size_t n = strlen(text);
	size_t at = 0;
	size_t o = 0;
	bool is_quoted = false;

	while (at < n) {
		size_t begin = at;
		int32_t c;

		if (strncmp(text + at, QUOTE, QUOTE_BYTES) == 0 && o + 2 <= size) {
			at += QUOTE_BYTES;
			out[o++] = '"';
			is_quoted = !is_quoted;
			continue;
		}
		c = text_utf8_next(text, n, &at);

		if (c < 0)
			at++;
		if (o + 5 * (at - begin) + 1 > size)
			break;
		if (is_quoted && (c == '"' || c == '\\'))
			out[o++] = '\\';
		if (c >= 0 && !is_unsafe(c)) {
			memcpy(out + o, text + begin, at - begin);
			o += at - begin;
		} else if (c == '\n' || c == '\r' || c == '\t') {
			out[o++] = '\\';
			out[o++] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
		} else {
			for (; begin < at; begin++)
				o += (size_t)snprintf(out + o, size - o, "\\x%02x",
						      (unsigned char)text[begin]);
		}
	}
	out[o] = '\0';
}

static void
write_all(const char *line, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, line, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			/* Nowhere left to say it but in the numbers. */
			stat_inc(STAT_log_write_errors);
			return;
		}
		line += w;
		n -= (size_t)w;
	}
}

/* The mutex is held. text is escaped. */
static void
write_line(enum log_level level, const char *event, const char *text, int64_t repeated)
{
	char stamp[32];
	char thread[17] = "";
	char count[32] = "";
	char line[LINE_BYTES];
	const char *blank = text[0] == '\0' ? "" : " ";
	int n = 0;

	(void)prctl(PR_GET_NAME, thread);
	clock_wall_text(stamp, sizeof stamp);
	if (repeated > 0)
		snprintf(count, sizeof count, " repeated=%lld", (long long)repeated);
	if (level <= LOG_LEVEL_WARN)
		snprintf(last_error, sizeof last_error, "%s %s%s%.400s%s", stamp, event, blank,
			 text, count);
	switch (sink) {
	case LOG_SINK_SYSLOG:
		syslog(levels[level].priority, "%s %s %s%s%s%s", levels[level].label, thread, event,
		       blank, text, count);
		return;
	case LOG_SINK_JOURNAL: /* stamps by itself */
		n = snprintf(line, sizeof line - 1, "<%d>%s %s%s%s%s", levels[level].priority,
			     thread, event, blank, text, count);
		break;
	case LOG_SINK_STDERR:
	case LOG_SINK_FILE:
		n = snprintf(line, sizeof line - 1, "%s %s %s %s%s%s%s", stamp, levels[level].label,
			     thread, event, blank, text, count);
		break;
	}
	if (n < 0)
		return;
	if ((size_t)n > sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	write_all(line, (size_t)n);
}

/* Tells what was held back and frees the slot. The mutex is held. */
static void
repeat_end(struct repeat *r)
{
	if (r->hash != 0 && r->count > 0)
		write_line(r->level, r->event, r->text, r->count);
	r->hash = 0;
	r->count = 0;
}

/* True when the line is to be written. The mutex is held. */
static bool
repeat_pass(enum log_level level, const char *event, const char *text)
{
	int64_t now = clock_mono_ms();
	uint32_t seed = text_crc32c((uint32_t)level, event, strlen(event) + 1);
	uint32_t hash = text_crc32c(seed, text, strlen(text)) | 1;
	struct repeat *oldest = &repeats[0];
	struct repeat *found = NULL;
	size_t i;

	/* A storm that is over has to leave its number within about a minute, not when it comes
	 * again. */
	for (i = 0; now - flushed_ms >= 1000 && i < REPEAT_SLOTS; i++) {
		if (repeats[i].hash != 0 && repeats[i].hash != hash &&
		    now - repeats[i].written_ms >= REPEAT_MS)
			repeat_end(&repeats[i]);
	}
	if (now - flushed_ms >= 1000 || now < flushed_ms)
		flushed_ms = now;
	for (i = 0; i < REPEAT_SLOTS; i++) {
		struct repeat *r = &repeats[i];

		if (r->hash == hash && r->level == level && strcmp(r->event, event) == 0 &&
		    strncmp(r->text, text, strlen(r->text)) == 0)
			found = r;
		if (r->hash == 0 || (oldest->hash != 0 && r->written_ms < oldest->written_ms))
			oldest = r;
	}
	if (found != NULL && now >= found->written_ms && now - found->written_ms < REPEAT_MS) {
		found->count++;
		stat_inc(STAT_log_lines_suppressed);
		return false;
	}
	if (found != NULL) {
		int64_t count = found->count;

		found->count = 0;
		found->written_ms = now;
		write_line(level, event, text, count);
		return false;
	}
	repeat_end(oldest);
	oldest->hash = hash;
	oldest->level = level;
	oldest->written_ms = now;
	text_copy(oldest->event, sizeof oldest->event, event);
	text_copy(oldest->text, sizeof oldest->text, text);
	return true;
}

/* False: so long a format keeps its quotes as they are. */
static bool
mark_quotes(char *out, size_t size, const char *fmt)
{
	size_t n = 0;

	for (; *fmt != '\0'; fmt++) {
		if (n + QUOTE_BYTES + 1 > size)
			return false;
		if (*fmt == '"') {
			memcpy(out + n, QUOTE, QUOTE_BYTES);
			n += QUOTE_BYTES;
		} else {
			out[n++] = *fmt;
		}
	}
	out[n] = '\0';
	return true;
}

static void
print_raw(char *raw, size_t size, const char *fmt, va_list ap)
{
	char marked[FORMAT_BYTES];

	if (mark_quotes(marked, sizeof marked, fmt))
		fmt = marked;
/* The compiler has checked fmt where it was written. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (vsnprintf(raw, size, fmt, ap) < 0)
		raw[0] = '\0';
#pragma GCC diagnostic pop
}

static void
log_text(enum log_level level, const char *event, const char *raw)
{
	char text[TEXT_BYTES];

	escape(text, sizeof text, raw);
	pthread_mutex_lock(&mutex);
	if (repeat_pass(level, event, text))
		write_line(level, event, text, 0);
	pthread_mutex_unlock(&mutex);
}

void
log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	char raw[TEXT_BYTES];
	va_list ap;

	if ((int)level > current_level)
		return;
	va_start(ap, fmt);
	print_raw(raw, sizeof raw, fmt, ap);
	va_end(ap);
	log_text(level, event, raw);
}

void
log_err(enum log_level level, const char *event, const struct err *e, const char *fmt, ...)
{
	char raw[TEXT_BYTES];
	va_list ap;
	size_t at;

	if ((int)level > current_level)
		return;
	va_start(ap, fmt);
	print_raw(raw, sizeof raw, fmt, ap);
	va_end(ap);
	at = strlen(raw);
	snprintf(raw + at, sizeof raw - at,
		 "%sclass=%s native=%d%s%s where=%s text=" QUOTE "%s" QUOTE, at == 0 ? "" : " ",
		 rc_name(e->rc), e->native, e->sqlstate[0] == '\0' ? "" : " sqlstate=", e->sqlstate,
		 e->where == NULL ? "-" : e->where, e->text);
	log_text(level, event, raw);
}

void
log_close(void)
{
	size_t i;

	pthread_mutex_lock(&mutex);
	for (i = 0; i < REPEAT_SLOTS; i++)
		repeat_end(&repeats[i]);
	close_sink();
	pthread_mutex_unlock(&mutex);
	current_level = LOG_LEVEL_WARN;
}

const char *
mask_number(char *buf, size_t size, const char *number)
{
	size_t n = strlen(number);
	bool is_number = strspn(number, "+0123456789-(). ") == n;
	size_t head = is_number && n >= 9 ? 3 : 0;
	size_t tail = is_number && n >= 9 ? 4 : 0;
	size_t i;

	for (i = 0; i < n && i + 1 < size; i++)
		buf[i] = i < head || i >= n - tail ? number[i] : '*';
	buf[i] = '\0';
	return buf;
}

void
log_last_error(char *buf, size_t size)
{
	pthread_mutex_lock(&mutex);
	text_copy(buf, size, last_error);
	pthread_mutex_unlock(&mutex);
}
