/* blackbox.c - see blackbox.h.
 *
 * DIAGNOSTICS (events): blackbox.new (a box that could not be used), blackbox.failed (none to be
 * had). */
#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/blackbox.h"
#include "agent/log.h"
#include "agent/text.h"

#define NAME "blackbox"
#define LAYOUT 2u
#define STACK_BYTES ((size_t)64 * 1024)
#define STUCK (-1)

static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
#define FAULTS (sizeof faults / sizeof faults[0])

/* Relaxed: each word has one writer at a time, and what matters is read by the next process. */
struct slot {
	_Atomic int64_t msg_id;
	_Atomic uint32_t made;
	_Atomic uint32_t step; /* BOX_IDLE: the rest means nothing */
	_Atomic int32_t died;  /* the signal, STUCK, or 0 */
	char key[BLACKBOX_KEY];
};

struct suspect {
	_Atomic int64_t msg_id;
	_Atomic uint32_t made;
	_Atomic uint32_t count; /* 0: free */
	_Atomic uint32_t seen;	/* of box.blames at the last one */
	_Atomic uint32_t steps; /* a bit for each that it was blamed in */
	char key[BLACKBOX_KEY]; /* written before the other threads begin */
};

struct box {
	char magic[8];
	uint32_t layout, bytes;
	char version[32];
	char owner[48];
	_Atomic uint32_t blames;
	struct slot slots[BLACKBOX_SLOTS];
	struct suspect suspects[BLACKBOX_SUSPECTS];
};

static const char magic[8] = { 'M', 'T', 'B', 'O', 'X', '\r', '\n', 0 };

static struct box nowhere; /* while none is open */
static struct box *box = &nowhere;
static struct slot lost; /* of threads beyond BLACKBOX_SLOTS */
static _Atomic unsigned taken;
static _Thread_local struct slot *mine;
static struct sigaction before[FAULTS];
/* The stack may be what is broken. Each thread that has none gets one. */
static char stacks[BLACKBOX_SLOTS][STACK_BYTES];

static const char *const step_names[BOX_STEPS] = {
	[BOX_IDLE] = "idle",	 [BOX_READ] = "read",	  [BOX_JUDGE] = "judge",
	[BOX_ENCODE] = "encode", [BOX_ANSWER] = "answer", [BOX_REPORT] = "report",
	[BOX_SETTLE] = "settle",
};

const char *
blackbox_step_name(enum box_step step)
{
	return (unsigned)step < BOX_STEPS ? step_names[step] : "idle";
}

/* ---- notes ---- */

static struct slot *
take_slot(void)
{
	unsigned at = taken++;
	stack_t has, new = { .ss_sp = NULL };

	if (at >= BLACKBOX_SLOTS)
		return &lost;
	/* A sanitizer has put up its own, and frees it by itself. */
	if (sigaltstack(NULL, &has) == 0 && (has.ss_flags & SS_DISABLE) != 0) {
		new.ss_sp = stacks[at];
		new.ss_size = STACK_BYTES;
		(void)sigaltstack(&new, NULL);
	}
	return &box->slots[at];
}

static struct slot *
my_slot(void)
{
	if (mine == NULL && box != &nowhere)
		mine = take_slot();
	return mine;
}

static void
set_step(struct slot *s, enum box_step step)
{
	atomic_store_explicit(&s->step, (uint32_t)step, memory_order_release);
}

void
blackbox_at(enum box_step step, int64_t msg_id, uint32_t made)
{
	struct slot *s = my_slot();

	if (s == NULL || s == &lost)
		return;
	set_step(s, BOX_IDLE);
	atomic_store_explicit(&s->msg_id, msg_id, memory_order_relaxed);
	atomic_store_explicit(&s->made, made, memory_order_relaxed);
	s->key[0] = '\0';
	set_step(s, step);
}

void
blackbox_at_key(enum box_step step, const char *key)
{
	struct slot *s = my_slot();

	if (s == NULL || s == &lost)
		return;
	set_step(s, BOX_IDLE);
	atomic_store_explicit(&s->msg_id, 0, memory_order_relaxed);
	atomic_store_explicit(&s->made, 0, memory_order_relaxed);
	(void)text_copy(s->key, sizeof s->key, key);
	set_step(s, step);
}

void
blackbox_off(void)
{
	if (mine != NULL && mine != &lost)
		set_step(mine, BOX_IDLE);
}

uint32_t
blackbox_made(const char *created_at)
{
	uint32_t crc = text_crc32c(0, created_at, strlen(created_at));

	return crc != 0 ? crc : 1;
}

void
blackbox_stuck(void)
{
	for (size_t i = 0; i < BLACKBOX_SLOTS; i++) {
		struct slot *s = &box->slots[i];

		/* A settle waits for the database, which is no fault of the row. */
		if (s != mine && (s->step == BOX_READ || s->step == BOX_JUDGE))
			s->died = STUCK;
	}
}

/* ---- the end ---- */

/* Stores into the mapping, and back to what the signal did before us. */
static void
on_fault(int sig, siginfo_t *info, void *context)
{
	bool is_own = info->si_code > 0 || info->si_pid == getpid();
	size_t i;

	(void)context;
	/* An ABRT from outside is a watchdog's end for a loop that a row keeps. */
	if (mine != NULL && (is_own || (sig == SIGABRT && mine->step != BOX_SETTLE)))
		mine->died = sig;
	for (i = 0; i < FAULTS; i++)
		if (faults[i] == sig)
			(void)sigaction(sig, &before[i], NULL);
	/* A fault comes again by itself, where it was. */
	if (info->si_code <= 0)
		(void)raise(sig);
}

static void
put_up_handlers(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < FAULTS; i++)
		(void)sigaction(faults[i], &sa, &before[i]);
}

/* ---- begin ---- */

/* NULL: it can be used. */
static const char *
what_is_wrong(const struct box *b, const char *owner)
{
	if (memcmp(b->magic, magic, sizeof magic) != 0 || b->layout != LAYOUT ||
	    b->bytes != sizeof *b)
		return "it is no box of this program";
	if (memchr(b->version, '\0', sizeof b->version) == NULL ||
	    memchr(b->owner, '\0', sizeof b->owner) == NULL)
		return "it is damaged";
	if (strcmp(b->owner, owner) != 0)
		return "it belongs to another journal";
	if (strcmp(b->version, PACKAGE_VERSION) != 0)
		return "it is of another version, which may work on these rows";
	for (size_t i = 0; i < BLACKBOX_SLOTS; i++)
		if (b->slots[i].step >= BOX_STEPS ||
		    memchr(b->slots[i].key, '\0', BLACKBOX_KEY) == NULL)
			return "it is damaged";
	for (size_t i = 0; i < BLACKBOX_SUSPECTS; i++)
		if (b->suspects[i].count > BLACKBOX_LIMIT ||
		    memchr(b->suspects[i].key, '\0', BLACKBOX_KEY) == NULL)
			return "it is damaged";
	return NULL;
}

static void
begin_anew(struct box *b, const char *owner)
{
	memset(b, 0, sizeof *b);
	memcpy(b->magic, magic, sizeof magic);
	b->layout = LAYOUT;
	b->bytes = sizeof *b;
	(void)text_copy(b->version, sizeof b->version, PACKAGE_VERSION);
	(void)text_copy(b->owner, sizeof b->owner, owner);
}

static size_t
take_crashes(struct box *b, struct blackbox_crash *out)
{
	size_t n = 0;

	for (size_t i = 0; i < BLACKBOX_SLOTS; i++) {
		const struct slot *s = &b->slots[i];
		int died = s->died;

		if (died == 0 || s->step == BOX_IDLE)
			continue;
		out[n] = (struct blackbox_crash){ .msg_id = s->msg_id,
						  .made = s->made,
						  .step = (enum box_step)s->step,
						  .signal = died == STUCK ? 0 : died };
		memcpy(out[n++].key, s->key, BLACKBOX_KEY);
	}
	memset(b->slots, 0, sizeof b->slots);
	return n;
}

static struct box *
map_file(int fd, bool *is_new)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0)
		return NULL;
	*is_new = st.st_size == 0;
	if (st.st_size > 0 && st.st_size != (off_t)sizeof(struct box) && ftruncate(fd, 0) != 0)
		return NULL;
	/* Allocated: a store into a page that the disk has no room for is a fault itself. */
	errno = posix_fallocate(fd, 0, (off_t)sizeof(struct box));
	if (errno != 0)
		return NULL;
	p = mmap(NULL, sizeof(struct box), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	// cppcheck-suppress memleak ; the box stays mapped until blackbox_close()
	return p == MAP_FAILED ? NULL : p;
}

size_t
blackbox_open(const char *dir, const char *owner, struct blackbox_crash *crashes)
{
	char path[4096];
	const char *wrong = NULL;
	struct box *b = NULL;
	bool is_new = false;
	size_t n = 0;
	int fd = -1;

	errno = ENAMETOOLONG;
	if ((size_t)snprintf(path, sizeof path, "%s/" NAME, dir) < sizeof path)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd != -1)
		b = map_file(fd, &is_new);
	if (b == NULL) {
		log_event(LOG_LEVEL_WARN, "blackbox.failed",
			  "file=%s text=\"cannot be had: %s; a row that ends the process is not "
			  "told from others\"",
			  path, strerror(errno));
	} else if (!is_new && (wrong = what_is_wrong(b, owner)) != NULL) {
		log_event(LOG_LEVEL_WARN, "blackbox.new",
			  "file=%s text=\"%s; begun anew, earlier crashes are not counted\"", path,
			  wrong);
	}
	if (fd != -1)
		(void)close(fd); /* the mapping stays */
	if (b == NULL)
		return 0;
	if (is_new || wrong != NULL)
		begin_anew(b, owner);
	else
		n = take_crashes(b, crashes);
	box = b;
	taken = 0;
	mine = NULL;
	put_up_handlers();
	return n;
}

void
blackbox_close(void)
{
	if (box == &nowhere)
		return;
	for (size_t i = 0; i < FAULTS; i++)
		(void)sigaction(faults[i], &before[i], NULL);
	(void)munmap(box, sizeof *box);
	box = &nowhere;
	mine = NULL;
}

/* ---- suspects ---- */

static bool
is_same(const struct suspect *s, int64_t msg_id, uint32_t made)
{
	uint32_t known = s->made;

	return s->count > 0 && msg_id != 0 && s->msg_id == msg_id &&
	       (known == 0 || made == 0 || known == made);
}

static struct suspect *
find(int64_t msg_id, uint32_t made, const char *key)
{
	for (size_t i = 0; i < BLACKBOX_SUSPECTS; i++) {
		struct suspect *s = &box->suspects[i];

		if (is_same(s, msg_id, made) ||
		    (s->count > 0 && key[0] != '\0' && strncmp(s->key, key, BLACKBOX_KEY - 1) == 0))
			return s;
	}
	return NULL;
}

static struct suspect *
make_room(void)
{
	struct suspect *best = &box->suspects[0];

	for (size_t i = 0; i < BLACKBOX_SUSPECTS; i++) {
		struct suspect *s = &box->suspects[i];

		if (s->count == 0)
			return s;
		if (s->seen < best->seen)
			best = s;
	}
	best->count = 0;
	return best;
}

static void
fill_in(struct suspect *s, const struct blackbox_crash *c)
{
	if (s->msg_id == 0)
		s->msg_id = c->msg_id;
	if (s->made == 0)
		s->made = c->made;
	if (s->key[0] == '\0')
		(void)text_copy(s->key, sizeof s->key, c->key);
}

unsigned
blackbox_blame(const struct blackbox_crash *c)
{
	struct suspect *s = find(c->msg_id, c->made, c->key);

	if (s == NULL) {
		s = make_room();
		s->msg_id = c->msg_id;
		s->made = c->made;
		s->steps = 0;
		(void)text_copy(s->key, sizeof s->key, c->key);
	}
	fill_in(s, c);
	s->steps |= 1u << (unsigned)c->step;
	s->seen = ++box->blames;
	if (s->count < BLACKBOX_LIMIT)
		s->count++;
	return s->count;
}

void
blackbox_name(const struct blackbox_crash *c)
{
	struct suspect *s = find(c->msg_id, c->made, c->key);

	if (s != NULL)
		fill_in(s, c);
}

bool
blackbox_shuns(int64_t msg_id, uint32_t made)
{
	const struct suspect *found = box->blames == 0 ? NULL : find(msg_id, made, "");

	for (size_t i = 0; box->blames != 0 && made != 0 && i < BLACKBOX_SUSPECTS; i++) {
		struct suspect *s = &box->suspects[i];

		if (s != found && is_same(s, msg_id, 0))
			s->count = 0;
	}
	return found != NULL && found->count >= BLACKBOX_LIMIT;
}

bool
blackbox_shuns_in(int64_t msg_id, unsigned steps)
{
	const struct suspect *s = box->blames == 0 ? NULL : find(msg_id, 0, "");

	return s != NULL && s->count >= BLACKBOX_LIMIT && (s->steps & steps) != 0;
}

bool
blackbox_shuns_key(const char *key)
{
	const struct suspect *s = box->blames == 0 ? NULL : find(0, 0, key);

	return s != NULL && s->count >= BLACKBOX_LIMIT;
}

void
blackbox_forget(int64_t msg_id)
{
	for (size_t i = 0; box->blames != 0 && i < BLACKBOX_SUSPECTS; i++)
		if (is_same(&box->suspects[i], msg_id, 0))
			box->suspects[i].count = 0;
}
