#include "config.h"
#include <string.h>
#include "schema/sql_source.h"

const struct sql_source *
sql_source_find(const char *dialect, const char *name)
{
	size_t low = 0;
	size_t high = sql_source_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(dialect, sql_sources[mid].dialect);

		if (order == 0)
			order = strcmp(name, sql_sources[mid].name);
		if (order == 0)
			return &sql_sources[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}
