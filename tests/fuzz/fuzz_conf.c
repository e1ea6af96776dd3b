/* The whole way of a configuration: read, derive, check, print. The input is the file, and behind a
 * byte 0x01 what it may include as "more.conf"; no other file can be opened. What is taken is
 * printed by --dump-config in a form that is taken again as the same. */
#include "config.h"
#include <dlfcn.h>
#include <errno.h>
#include "agent/conf.h"
#include "agent/text.h"
#include "tests/fuzz/fuzz.h"

#define MAIN_FILE "/fuzz/mtrelay.conf"
#define MORE_FILE "/fuzz/more.conf"
#define OPENS_MAX 20

/* libconfig 1.5 loses the text that it was reading when a syntax error ends it. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

static struct bytes main_file, more_file;
static bool is_inside;
static int opens;

FILE *
fopen(const char *path, const char *mode)
{
	static FILE *(*real)(const char *, const char *);
	struct bytes b = strcmp(path, MAIN_FILE) == 0 ? main_file : more_file;

	if (!is_inside) {
		if (real == NULL)
			*(void **)&real = dlsym(RTLD_NEXT, "fopen");
		return real(path, mode);
	}
	if ((strcmp(path, MAIN_FILE) != 0 && strcmp(path, MORE_FILE) != 0) || ++opens > OPENS_MAX) {
		errno = ENOENT;
		return NULL;
	}
	if (b.n == 0)
		b = (struct bytes){ (const uint8_t *)"\n", 1 };
	return fmemopen((void *)(uintptr_t)b.p, b.n, "r");
}

static enum rc
load(struct bytes text, struct bytes more, struct conf **out, struct conf_problems *p)
{
	enum rc rc;

	main_file = text;
	more_file = more;
	opens = 0;
	is_inside = true;
	rc = conf_load(MAIN_FILE, out, p);
	is_inside = false;
	return rc;
}

/* Where a value came from is not part of it. */
static char *
dump(const struct conf *c, size_t *n)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, n);

	must(f != NULL);
	conf_dump(c, f);
	must(fclose(f) == 0);
	return text;
}

static void
look(const struct conf *c)
{
	char changed[512];

	must(!conf_reload_check(c, c, changed, sizeof changed) && changed[0] == '\0');
	for (size_t i = 0; i < c->channel_count; i++) {
		must(conf_channel_find(c, c->channels[i].name) == &c->channels[i]);
		must(conf_channel_equal(&c->channels[i], &c->channels[i]));
	}
	for (size_t i = 0; i < c->route_count; i++)
		for (size_t k = 0; k < c->routes[i].channels_count; k++)
			must(conf_channel_find(c, c->routes[i].channels[k]) != NULL);
	(void)conf_route_find(c, MSG_TYPE_SMS);
	(void)conf_is_loopback(c->database.host);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct bytes text = take_until(&in, 1);
	struct conf_problems p = { 0 };
	struct conf *c, *again;
	char *dumped, changed[512];
	size_t n;

	if (size > 65536)
		return 0;
	if (load(text, in, &c, &p) == RC_OK) {
		must(p.n == 0 && c != NULL);
		look(c);
		dumped = dump(c, &n);
		must(load((struct bytes){ (uint8_t *)dumped, n }, (struct bytes){ 0 }, &again,
			  &p) == RC_OK);
		must(!conf_reload_check(c, again, changed, sizeof changed));
		must(again->channel_count == c->channel_count &&
		     again->route_count == c->route_count);
		for (size_t i = 0; i < c->channel_count; i++)
			must(conf_channel_equal(&c->channels[i], &again->channels[i]));
		conf_unref(conf_ref(again));
		conf_unref(again);
		free(dumped);
		conf_unref(c);
	} else {
		must(c == NULL && p.n > 0);
		for (size_t i = 0; i < p.n; i++)
			must(p.v[i].text[0] != '\0' && p.v[i].line >= 0);
	}
	conf_problems_free(&p);
	return 0;
}
