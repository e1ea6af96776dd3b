#include "config.h"
#include <stddef.h>
#include "agent/failpoint.h"

#ifdef ENABLE_FAILPOINTS
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "agent/text.h"

#define STALL_MAX_MS 600000
#define EXIT_BAD_CONFIG 78

#define NEEDLE_BYTES 64

enum action { ACT_NONE, ACT_KILL, ACT_ABORT, ACT_SEGV, ACT_STALL, ACT_CLASS };

struct point {
	enum action action;
	enum rc rc;
	int64_t stall_ms;
	int64_t nth; /* 0: every hit */
	_Atomic int64_t hits;
	char needle[NEEDLE_BYTES]; /* "": any text */
};

static struct point points[FP_COUNT];

static const char *const names[FP_COUNT + 1] = {
#define FAILPOINT_DEF(name, sentence) #name,
#include "agent/failpoint.def"
#undef FAILPOINT_DEF
};

static const struct {
	const char *word;
	enum action action;
	enum rc rc;
} actions[] = {
	{ "kill", ACT_KILL, RC_OK },	    { "abort", ACT_ABORT, RC_OK },
	{ "segv", ACT_SEGV, RC_OK },	    { "lost", ACT_CLASS, RC_LOST },
	{ "unsure", ACT_CLASS, RC_UNSURE }, { "again", ACT_CLASS, RC_AGAIN },
	{ "config", ACT_CLASS, RC_CONFIG }, { "data", ACT_CLASS, RC_DATA },
};

#ifdef ENABLE_COVERAGE
/* A killed process writes no counters by itself, and the sweep kills most of them. */
extern void __gcov_dump(void);
#define COVERAGE_DUMP() __gcov_dump()
#else
#define COVERAGE_DUMP() ((void)0)
#endif

static void
stall(int64_t ms)
{
	struct timespec left = { .tv_sec = (time_t)(ms / 1000),
				 .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

enum rc
failpoint_hit(enum failpoint fp)
{
	struct point *p = &points[fp];
	int64_t hit;

	if (p->action == ACT_NONE)
		return RC_OK;
	hit = ++p->hits;
	if (p->nth != 0 && hit != p->nth)
		return RC_OK;
	/* A test asks for it: a point that was never hit proves nothing. */
	if (p->nth != 0 || hit == 1)
		dprintf(STDERR_FILENO, "failpoint.hit name=%s\n", names[fp]);
	switch (p->action) {
	case ACT_NONE:
		break;
	case ACT_KILL:
		COVERAGE_DUMP();
		(void)kill(getpid(), SIGKILL);
		break;
	case ACT_ABORT:
		abort();
	case ACT_SEGV: {
		/* Not NULL: a sanitizer would end us in its own way before the fault. */
		volatile int *volatile no_address = (volatile int *)64;

		*no_address = 1;
		break;
	}
	case ACT_STALL:
		stall(p->stall_ms);
		break;
	case ACT_CLASS:
		return p->rc;
	}
	return RC_OK;
}

enum rc
failpoint_hit_text(enum failpoint fp, const char *p, size_t n)
{
	const char *needle = points[fp].needle;

	if (needle[0] != '\0' && (n == 0 || memmem(p, n, needle, strlen(needle)) == NULL))
		return RC_OK;
	return failpoint_hit(fp);
}

static bool
set_action(struct point *p, const char *word)
{
	size_t i;

	if (strncmp(word, "stall=", 6) == 0) {
		p->action = ACT_STALL;
		return text_i64(word + 6, 0, STALL_MAX_MS, &p->stall_ms);
	}
	for (i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(word, actions[i].word) == 0) {
			p->action = actions[i].action;
			p->rc = actions[i].rc;
			return true;
		}
	}
	return false;
}

static enum rc
arm_one(char *item, struct err *e)
{
	char *action = strchr(item, ':');
	char *nth = NULL;
	char *needle = strchr(item, '@');
	struct point *p = NULL;
	size_t i;

	if (needle != NULL)
		*needle++ = '\0';
	if (action != NULL) {
		*action++ = '\0';
		nth = strchr(action, ':');
		if (nth != NULL)
			*nth++ = '\0';
	}
	for (i = 0; i < FP_COUNT; i++) {
		if (strcmp(item, names[i]) == 0)
			p = &points[i];
	}
	if (p == NULL)
		return err_set(e, RC_CONFIG, 0, "failpoint.arm",
			       "MTRELAY_FAILPOINT: \"%.60s\" is no fault point; "
			       "agent/failpoint.def lists them",
			       item);
	if (action == NULL || !set_action(p, action))
		return err_set(e, RC_CONFIG, 0, "failpoint.arm",
			       "MTRELAY_FAILPOINT: %.60s needs an action: kill, abort, segv, "
			       "stall=MS, lost, unsure, again, config or data",
			       item);
	if (nth != NULL && !text_i64(nth, 1, INT64_MAX, &p->nth))
		return err_set(
			e, RC_CONFIG, 0, "failpoint.arm",
			"MTRELAY_FAILPOINT: %.60s: \"%.20s\" is no count of hits, write 1 or more",
			item, nth);
	if (needle != NULL && !text_copy(p->needle, sizeof p->needle, needle))
		return err_set(
			e, RC_CONFIG, 0, "failpoint.arm",
			"MTRELAY_FAILPOINT: %.60s: the text behind @ is longer than %d bytes", item,
			NEEDLE_BYTES - 1);
	return RC_OK;
}

enum rc
failpoint_arm(const char *spec, struct err *e)
{
	char copy[1024];
	char *item = copy;
	enum rc rc = RC_OK;

	memset(points, 0, sizeof points);
	if (!text_copy(copy, sizeof copy, spec))
		return err_set(e, RC_CONFIG, 0, "failpoint.arm",
			       "MTRELAY_FAILPOINT is longer than %zu bytes", sizeof copy - 1);
	while (rc == RC_OK && item != NULL && *item != '\0') {
		char *next = strchr(item, ',');

		if (next != NULL)
			*next++ = '\0';
		rc = arm_one(item, e);
		item = next;
	}
	if (rc != RC_OK)
		memset(points, 0, sizeof points);
	return rc;
}

const char *const *
failpoint_names(void)
{
	return names;
}

/* Before main(), so that no program can forget it and every thread sees it. */
__attribute__((constructor)) static void
arm_from_environment(void)
{
	const char *spec = getenv("MTRELAY_FAILPOINT");
	struct err e;

	if (spec == NULL || failpoint_arm(spec, &e) == RC_OK)
		return;
	fprintf(stderr, "%s\n", e.text);
	_exit(EXIT_BAD_CONFIG);
}
#endif
