/* transition.h - the state table of the messages as data. Constant, any thread. */
#ifndef MTRELAY_TRANSITION_H
#define MTRELAY_TRANSITION_H
#include <stdbool.h>
#include <stddef.h>

enum transition_kind {
#define TRANSITION(kind, statement, from, to, sentence) TRANSITION_##kind,
#include "agent/transition.def"
#undef TRANSITION
	TRANSITION_COUNT
};

struct transition {
	const char *statement;
	const char *from; /* digits */
	char to;	  /* digit, '=' or '-' */
	const char *sentence;
};

const struct transition *transition_get(enum transition_kind k);
/* Whether a row in that status may go this way. */
bool transition_allows(enum transition_kind k, int from);

#endif
