/* fail.h - allocations and system calls of the agent's own code that fail on demand.
 *
 * Linked into the torture programs with -Wl,--wrap: what libraries call by themselves is not
 * touched, but that they give no object (FAIL_LIBRARY). Counting is over all threads. A program
 * that is told by the environment (MTRELAY_TORTURE="alloc:123", "library:5" or "system:45+", then
 * ":HOW") counts from its start; MTRELAY_TORTURE_COUNT names a file that gets the counts when it
 * ends. */
#ifndef MTRELAY_FAIL_H
#define MTRELAY_FAIL_H
#include <stdbool.h>
#include <stddef.h>

enum fail_kind { FAIL_ALLOC, FAIL_SYSTEM, FAIL_LIBRARY, FAIL_KINDS };

/* What own code means by abort() after a failure: the process ends by its own choice, and a restart
 * is safe. */
#define FAIL_OWN_END 77

/* The nth call of that kind from now on (1 is the next), and with later all behind it; 0 takes it
 * back. how chooses among the ways in which a system call can fail. */
void fail_at(enum fail_kind kind, unsigned long nth, bool later, unsigned how);
/* Did the failure come? */
bool fail_came(void);
unsigned long fail_calls(enum fail_kind kind);
/* The name of the call that failed last, "" none. */
const char *fail_what(void);
/* Allocations of own code that nobody has freed. */
size_t fail_live(void);

#endif
