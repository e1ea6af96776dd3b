/* core_journal.c - the agent's journal on the simulated disk. */
#include "tests/simulation/hooks_disk.h"
#include "agent/journal.c"
