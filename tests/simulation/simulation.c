/* simulation.c - runs schedules: seeds, children, counts. See README.md.
 *
 *   simulation [--schedules N] [--seconds S] [--seed FIRST]     runs them, prints counts as JSON
 *   simulation --replay SEED [--trace]                          one schedule, its hash, and all
 *               its steps */
#include "config.h"
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/simulation/sim.h"

#define PER_CHILD 150
#define SCHEDULE_SECONDS 60

/* What the child leaves when it dies. */
struct shared {
	struct counts counts;
	uint64_t seed;
	uint64_t hash;
	char violation[512];
};
static struct shared *shared;

static double
seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
one(uint64_t seed)
{
	shared->seed = seed;
	schedule_run(seed);
	shared->hash = W.hash;
	shared->counts = W.counts;
	memcpy(shared->violation, W.violation, sizeof shared->violation);
}

/* Runs seeds from first on in a child, as what a crash of an agent leaves in memory goes with it.
 * Returns how many were done without a violation. */
static uint64_t
child(uint64_t first, uint64_t n, bool is_traced)
{
	uint64_t i;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0) {
		W.counts = shared->counts;
		W.is_traced = is_traced;
		for (i = 0; i < n; i++) {
			alarm(SCHEDULE_SECONDS);
			one(first + i);
			if (shared->violation[0] != '\0')
				break;
		}
		fflush(stdout);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	if (WIFSIGNALED(status))
		snprintf(shared->violation, sizeof shared->violation, "signal %d: %s",
			 WTERMSIG(status),
			 WTERMSIG(status) == SIGALRM ? "it takes for ever"
						     : "the agent's own fault");
	else if (WEXITSTATUS(status) != 0)
		snprintf(shared->violation, sizeof shared->violation, "status %d",
			 WEXITSTATUS(status));
	return shared->violation[0] != '\0' ? shared->seed - first : n;
}

static void
print_counts(uint64_t first, uint64_t next, double took)
{
	printf("{\"seed\": %" PRIu64 ", \"next_seed\": %" PRIu64 ", \"cpu_s\": %.1f", first, next,
	       took);
#define COUNT_PRINT(name) printf(", \"" #name "\": %" PRId64, shared->counts.name);
	COUNTS(COUNT_PRINT)
#undef COUNT_PRINT
	printf("}\n");
}

int
main(int argc, char **argv)
{
	uint64_t schedules = 1000, first = 1, at, here, failures = 0;
	bool is_replay = false, is_traced = false;
	double limit = 0, begin = seconds();
	uint64_t keep_going = 1;
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0) {
			is_traced = true;
			continue;
		}
		if (i + 1 == argc) {
			fprintf(stderr, "simulation: %s needs a value\n", argv[i]);
			return 2;
		}
		if (strcmp(argv[i], "--schedules") == 0)
			schedules = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0)
			limit = strtod(argv[i + 1], NULL);
		else if (strcmp(argv[i], "--seed") == 0)
			first = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--failures") == 0)
			keep_going = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--replay") == 0) {
			first = strtoull(argv[i + 1], NULL, 10);
			is_replay = true;
		} else {
			fprintf(stderr, "simulation: what is %s?\n", argv[i]);
			return 2;
		}
		i++;
	}
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	/* Big tables of the agent come from the heap that the child has already, not from the
	 * system each time. */
	mallopt(M_MMAP_THRESHOLD, 1 << 26);
	mallopt(M_TRIM_THRESHOLD, 1 << 28);
	database_open();
	if (is_replay) {
		(void)child(first, 1, is_traced);
		printf("seed %" PRIu64 " hash %016" PRIx64 " steps %" PRId64 "%s%s\n", first,
		       shared->hash, shared->counts.steps,
		       shared->violation[0] != '\0' ? " VIOLATION: " : "", shared->violation);
		return shared->violation[0] != '\0';
	}
	for (at = first; at < first + schedules && (limit == 0 || seconds() - begin < limit);) {
		here = first + schedules - at < PER_CHILD ? first + schedules - at : PER_CHILD;
		at += child(at, here, false);
		if (shared->violation[0] != '\0') {
			fprintf(stderr, "seed %" PRIu64 ": %s\n", at, shared->violation);
			shared->violation[0] = '\0';
			at++;
			if (++failures >= keep_going)
				break;
		}
	}
	print_counts(first, at, seconds() - begin);
	return failures > 0;
}
