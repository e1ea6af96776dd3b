# tests/simulation/sources.mk - the core on virtual time; see README.md there.

simulation_sources = \
	tests/simulation/core_dialect.c \
	tests/simulation/core_journal.c \
	tests/simulation/core_message.c \
	tests/simulation/core_relay.c \
	tests/simulation/core_report.c \
	tests/simulation/database.c \
	tests/simulation/disk.c \
	tests/simulation/disk.h \
	tests/simulation/hooks_disk.h \
	tests/simulation/provider.c \
	tests/simulation/schedule.c \
	tests/simulation/sim.h \
	tests/simulation/simulation.c \
	tests/simulation/world.c

if HAVE_TESTS
check_PROGRAMS += tests/simulation/simulation
tests_simulation_simulation_SOURCES = $(simulation_sources)
tests_simulation_simulation_LDADD = $(SIMULATION_FIRST) $(relay_libs) $(SQLITE_LIBS)
else
EXTRA_DIST += $(simulation_sources)
endif
# An object in the place of one of the library's: what tests/simulation/run --mutants breaks on purpose.
SIMULATION_FIRST =

EXTRA_DIST += tests/simulation/README.md tests/simulation/run
