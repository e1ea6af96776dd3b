/* log.h - levels, sinks and the one line format of the log.
 *
 * A line is an event name and facts as key=value or key="value"; quotes of a format delimit, those
 * of an argument between them get a backslash. Bodies never, numbers only through
 * mask_number(), secrets never, at any level. Any thread may log; log_open(), log_reopen() and
 * log_close() are for the main thread. The same event with the same text repeats at most once a
 * minute, with repeated=N. */
#ifndef MTRELAY_LOG_H
#define MTRELAY_LOG_H
#include <stdbool.h>
#include <stddef.h>
#include "agent/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_sink { LOG_SINK_STDERR, LOG_SINK_JOURNAL, LOG_SINK_FILE, LOG_SINK_SYSLOG };

/* Before the first call lines of WARN and worse go to stderr. path is for LOG_SINK_FILE and is
 * copied. */
enum rc log_open(enum log_sink sink, const char *path, enum log_level level, struct err *e)
	MUST_USE;
/* Opens the file anew after it was moved by logrotate; keeps the old one when that fails. */
enum rc log_reopen(struct err *e) MUST_USE;
void log_close(void);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "debug", "info", "warn", "error"; false when the word is none of them. */
bool log_level_parse(const char *word, enum log_level *out);

void log_event(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Logs e as class, native, sqlstate, where and text behind the given facts. */
void log_err(enum log_level level, const char *event, const struct err *e, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* Writes "010****5678" for "01012345678" into buf and returns buf; short numbers are masked
 * whole. */
const char *mask_number(char *buf, size_t size, const char *number);

/* The last line of level ERROR or WARN, "" when there was none: for mt_agent.last_error and
 * status. */
void log_last_error(char *buf, size_t size);

#endif
