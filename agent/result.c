#include "config.h"
#include "agent/result.h"
#include <string.h>

static const struct result results[] = {
#define RESULT_DEF(code, class, en, ko) { code, RESULT_##class, en, ko },
#include "agent/result.def"
#undef RESULT_DEF
};

const char *
result_class_name(enum result_class c)
{
	switch (c) {
	case RESULT_OK:
		return "OK";
	case RESULT_FAIL:
		return "FAIL";
	case RESULT_UNKNOWN:
		return "UNKNOWN";
	}
	return "UNKNOWN";
}

const struct result *
result_at(size_t i)
{
	return i < sizeof results / sizeof results[0] ? &results[i] : NULL;
}

const struct result *
result_find(const char *code)
{
	if (code == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
		if (strcmp(results[i].code, code) == 0)
			return &results[i];
	return NULL;
}

const char *
result_text(const char *code)
{
	const struct result *r = result_find(code);

	return r != NULL ? r->name_en : "unknown code";
}
