/* core_report.c - the agent's reports: they sync the journal. */
#include "tests/simulation/hooks_disk.h"
#include "agent/pipeline_report.c"
