#include "config.h"
#include "agent/transition.h"
#include <string.h>

static const struct transition transitions[TRANSITION_COUNT] = {
#define TRANSITION(kind, statement, from, to, sentence) { statement, from, to, sentence },
#include "agent/transition.def"
#undef TRANSITION
};

const struct transition *
transition_get(enum transition_kind k)
{
	return &transitions[k];
}

bool
transition_allows(enum transition_kind k, int from)
{
	return from >= 0 && from <= 9 && strchr(transitions[k].from, '0' + from) != NULL;
}
