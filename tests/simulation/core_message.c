/* core_message.c - the agent's table of places and held memory, one for each simulated process. */
#include "agent/message.c"
#include "tests/simulation/sim.h"

void
agent_held_swap(struct agent *out, struct agent *in)
{
	size_t i;

	for (i = 0; out != NULL && i <= AT_SETTLE; i++)
		out->places[i] = place_counts[i];
	if (out != NULL)
		out->held_bytes = held_bytes;
	for (i = 0; in != NULL && i <= AT_SETTLE; i++)
		place_counts[i] = in->places[i];
	if (in != NULL)
		held_bytes = in->held_bytes;
}
