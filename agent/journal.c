/* journal.c - segments of checked records, and the set of what is live.
 *
 * A segment is a header and records, little endian:
 *   header  "MTJRNL1\n", id 16, boot id 36 text, segment number 8, unbroken_since 8, next report
 * number 8, crc 4 record  crc 4 (of all that follows), length 2 (of the payload), type 1, zero 1,
 * payload and zeroes up to its size. A record that a kill cut short is followed by zeroes only: it
 * was never reported as written, so no byte of its attempt left, and it counts as absent. Anything
 * else that does not check is damage.
 *
 * DIAGNOSTICS. journal_open: RC_CONFIG (folder, lock, rights). Damage is not an error: the marks
 * before it are used, info says is_broken and nothing is inferred from absent marks. Writing:
 * RC_AGAIN when a new segment could not be made (disk full); RC_BUG when write(2) into allocated
 * room failed, after which the process must not go on. */
#include "config.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/failpoint.h"
#include "agent/journal.h"
#include "agent/log.h"
#include "agent/text.h"

#define HEADER_BYTES 96
#define RECORD_HEAD 8
#define RECORD_MAX 512
#define BUCKETS 4096u
#define IDS_CHUNK 400 /* bytes of ids in one record */
#define ID_BYTES_MAX 32768
/* What one live attempt may still write: an ANSWER and a SETTLED mark at their largest. */
#define RESERVE_ATTEMPT 512
#define RESERVE_REPORT 32
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

static const unsigned char magic[8] = { 'M', 'T', 'J', 'R', 'N', 'L', '1', '\n' };

enum mark_type {
	MARK_START = 1,
	MARK_SUBMIT,
	MARK_ANSWER,
	MARK_SETTLED,
	MARK_REPORT,
	MARK_REPORT_SETTLED,
	MARK_SEEN,
	MARK_IDS, /* a piece of the ids of an answer that follows */
	MARK_LAST = MARK_IDS
};

struct attempt {
	struct attempt *next;
	struct journal_mark mark;
	bool has_answer;
	struct outcome answer; /* its ids are in ids */
	char *ids;	       /* NULL: none */
	size_t ids_n;
};

struct kept_report {
	struct kept_report *next;
	uint64_t number;
	struct report report;
};

struct journal {
	char *dir;
	int dir_fd;
	int lock_fd;
	int fd;
	uint64_t segment; /* number of the one that is written */
	int64_t segment_bytes;
	int64_t keep_bytes;
	int64_t used; /* bytes of it */
	char id[JOURNAL_ID_LEN + 1];
	char boot_id[40];
	int64_t incarnation;
	int64_t unbroken_since;
	uint64_t next_report;
	int64_t claim_seq; /* -1: never seen */
	uint64_t identity;
	struct attempt *attempts[BUCKETS];
	size_t live;
	struct kept_report *reports[BUCKETS];
	size_t report_count;
};

/* ---- bytes ---- */

struct out {
	unsigned char b[RECORD_MAX];
	size_t n;
};

static void
put_int(unsigned char *p, uint64_t v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t
get_int(const unsigned char *p, size_t n)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void
out_int(struct out *o, uint64_t v, size_t n)
{
	put_int(o->b + o->n, v, n);
	o->n += n;
}

/* Text of at most 127 bytes: every field of a mark has a smaller limit. */
static void
out_text(struct out *o, const char *s)
{
	size_t n = strnlen(s, 127);

	o->b[o->n++] = (unsigned char)n;
	memcpy(o->b + o->n, s, n);
	o->n += n;
}

struct in {
	const unsigned char *p;
	size_t n;
	bool bad;
};

static uint64_t
in_int(struct in *i, size_t n)
{
	uint64_t v;

	if (i->n < n) {
		i->bad = true;
		return 0;
	}
	v = get_int(i->p, n);
	i->p += n;
	i->n -= n;
	return v;
}

static void
in_text(struct in *i, char *buf, size_t size)
{
	size_t n = (size_t)in_int(i, 1);

	buf[0] = '\0';
	if (i->bad || n > i->n || n >= size) {
		i->bad = true;
		return;
	}
	memcpy(buf, i->p, n);
	buf[n] = '\0';
	i->p += n;
	i->n -= n;
}

static void
out_mark(struct out *o, const struct journal_mark *m)
{
	out_int(o, (uint64_t)m->msg_id, 8);
	out_int(o, (uint64_t)m->fence, 8);
	out_int(o, (uint32_t)m->leg, 4);
	out_int(o, (uint32_t)m->generation, 4);
	out_int(o, (uint32_t)m->try_no, 4);
	out_int(o, m->is_resend ? 1u : 0u, 1);
}

static void
in_mark(struct in *i, struct journal_mark *m)
{
	memset(m, 0, sizeof *m);
	m->msg_id = (int64_t)in_int(i, 8);
	m->fence = (int64_t)in_int(i, 8);
	m->leg = (int32_t)in_int(i, 4);
	m->generation = (int32_t)in_int(i, 4);
	m->try_no = (int32_t)in_int(i, 4);
	m->is_resend = in_int(i, 1) != 0;
}

static void
out_submit(struct out *o, const struct journal_mark *m)
{
	out_mark(o, m);
	out_text(o, m->client_key);
	out_text(o, m->channel);
}

static void
out_answer(struct out *o, const struct journal_mark *m, const struct outcome *a)
{
	out_mark(o, m);
	out_int(o, (uint64_t)a->kind, 1);
	out_int(o,
		(a->duplicate ? 1u : 0u) | (a->certainly_ended ? 2u : 0u) | (a->is_final ? 4u : 0u),
		1);
	out_int(o, a->parts, 4);
	out_text(o, a->code);
	out_text(o, a->provider_code);
	out_text(o, a->provider_id);
	out_text(o, a->text);
	out_int(o, a->more_ids != NULL ? strlen(a->more_ids) : 0, 4);
}

static void
out_ids(struct out *o, const struct journal_mark *m, const char *ids, size_t from, size_t n)
{
	out_mark(o, m);
	out_int(o, from, 4);
	out_int(o, n, 2);
	memcpy(o->b + o->n, ids + from, n);
	o->n += n;
}

/* *ids_n: how many bytes of ids came before it. */
static void
in_answer(struct in *i, struct outcome *a, size_t *ids_n)
{
	unsigned flags;

	memset(a, 0, sizeof *a);
	a->kind = (enum outcome_kind)in_int(i, 1);
	flags = (unsigned)in_int(i, 1);
	a->duplicate = (flags & 1u) != 0;
	a->certainly_ended = (flags & 2u) != 0;
	a->is_final = (flags & 4u) != 0;
	a->parts = (unsigned)in_int(i, 4);
	in_text(i, a->code, sizeof a->code);
	in_text(i, a->provider_code, sizeof a->provider_code);
	in_text(i, a->provider_id, sizeof a->provider_id);
	in_text(i, a->text, sizeof a->text);
	*ids_n = (size_t)in_int(i, 4);
	if (a->kind > OUT_UNSURE)
		i->bad = true;
}

static void
out_report(struct out *o, uint64_t number, const struct report *r)
{
	out_int(o, number, 8);
	out_int(o, (uint64_t)r->class, 1);
	out_int(o, r->duplicate ? 1u : 0u, 1);
	out_int(o, r->parts, 4);
	out_text(o, r->client_key);
	out_text(o, r->provider_id);
	out_text(o, r->channel);
	out_text(o, r->code);
	out_text(o, r->provider_code);
	out_text(o, r->carrier);
	out_text(o, r->done_at);
}

static void
in_report(struct in *i, uint64_t *number, struct report *r)
{
	memset(r, 0, sizeof *r);
	*number = in_int(i, 8);
	r->class = (enum report_class)in_int(i, 1);
	r->duplicate = in_int(i, 1) != 0;
	r->parts = (unsigned)in_int(i, 4);
	in_text(i, r->client_key, sizeof r->client_key);
	in_text(i, r->provider_id, sizeof r->provider_id);
	in_text(i, r->channel, sizeof r->channel);
	in_text(i, r->code, sizeof r->code);
	in_text(i, r->provider_code, sizeof r->provider_code);
	in_text(i, r->carrier, sizeof r->carrier);
	in_text(i, r->done_at, sizeof r->done_at);
	if (r->class > REPORT_PENDING)
		i->bad = true;
}

/* ---- the live set ---- */

static size_t
bucket_of(uint64_t v)
{
	return (size_t)((v * UINT64_C(0x9e3779b97f4a7c15)) >> 52) % BUCKETS;
}

static struct attempt **
attempt_place(const struct journal *j, int64_t msg_id, int32_t leg, int32_t try_no)
{
	struct attempt **a;

	for (a = (struct attempt **)&j->attempts[bucket_of((uint64_t)msg_id)]; *a != NULL;
	     a = &(*a)->next)
		if ((*a)->mark.msg_id == msg_id && (*a)->mark.leg == leg &&
		    (*a)->mark.try_no == try_no)
			break;
	return a;
}

static void
live_submit(struct journal *j, const struct journal_mark *m)
{
	struct attempt **place = attempt_place(j, m->msg_id, m->leg, m->try_no);

	if (*place == NULL) {
		*place = calloc(1, sizeof **place);
		if (*place == NULL)
			abort(); /* small and bounded; a restart is safe, going on without the mark
				    is not */
		j->live++;
	}
	(*place)->mark = *m;
}

/* A piece of the ids; the first one begins them anew. False: the piece before it is missing. */
static bool
live_ids(struct journal *j, const struct journal_mark *m, size_t from, const unsigned char *p,
	 size_t n)
{
	struct attempt *a = *attempt_place(j, m->msg_id, m->leg, m->try_no);
	char *ids;

	if (a == NULL)
		return true;
	if (from == 0)
		a->ids_n = 0;
	if (from != a->ids_n || from + n > ID_BYTES_MAX)
		return false;
	ids = realloc(a->ids, from + n + 1);
	if (ids == NULL)
		abort();
	memcpy(ids + from, p, n);
	ids[from + n] = '\0';
	a->ids = ids;
	a->ids_n = from + n;
	a->has_answer = false; /* that comes behind them */
	return true;
}

/* False: it has other ids than those that came before it. */
static bool
live_answer(struct journal *j, const struct journal_mark *m, const struct outcome *o, size_t ids_n)
{
	struct attempt *a = *attempt_place(j, m->msg_id, m->leg, m->try_no);

	if (a == NULL)
		return true;
	if (ids_n > 0 && ids_n != a->ids_n)
		return false;
	a->has_answer = true;
	a->answer = *o;
	a->answer.more_ids = ids_n > 0 ? a->ids : NULL;
	return true;
}

static void
live_settled(struct journal *j, const struct journal_mark *m)
{
	struct attempt **place = attempt_place(j, m->msg_id, m->leg, m->try_no), *a = *place;

	if (a != NULL) {
		*place = a->next;
		free(a->ids);
		free(a);
		j->live--;
	}
}

static void
live_report(struct journal *j, uint64_t number, const struct report *r)
{
	struct kept_report *k = calloc(1, sizeof *k);

	if (k == NULL)
		abort();
	k->number = number;
	k->report = *r;
	k->next = j->reports[bucket_of(number)];
	j->reports[bucket_of(number)] = k;
	j->report_count++;
	if (number >= j->next_report)
		j->next_report = number + 1;
}

static void
live_report_settled(struct journal *j, uint64_t number)
{
	struct kept_report **p, *k;

	for (p = &j->reports[bucket_of(number)]; (k = *p) != NULL; p = &k->next)
		if (k->number == number) {
			*p = k->next;
			free(k);
			j->report_count--;
			return;
		}
}

static void
live_clear(struct journal *j)
{
	struct attempt *a;
	struct kept_report *k;
	size_t i;

	for (i = 0; i < BUCKETS; i++) {
		while ((a = j->attempts[i]) != NULL) {
			j->attempts[i] = a->next;
			free(a->ids);
			free(a);
		}
		while ((k = j->reports[i]) != NULL) {
			j->reports[i] = k->next;
			free(k);
		}
	}
	j->live = j->report_count = 0;
}

/* ---- reading ---- */

struct segment_head {
	char id[JOURNAL_ID_LEN + 1];
	char boot_id[40];
	uint64_t number;
	int64_t unbroken_since;
	uint64_t next_report;
};

static bool
read_file(int dir_fd, const char *name, unsigned char **data, size_t *size)
{
	struct stat st;
	size_t got = 0;
	ssize_t n;
	int fd, why;

	*data = NULL;
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0 || st.st_size < 0 || st.st_size > INT64_C(1) << 30 ||
	    (*data = malloc((size_t)st.st_size + 1)) == NULL) {
		close(fd);
		return false;
	}
	while (got < (size_t)st.st_size) {
		n = read(fd, *data + got, (size_t)st.st_size - got);
		if (n < 0 && errno == EINTR)
			continue;
		/* A part would pass for the whole, and its absent marks for proof that nothing was
		 * sent. */
		if (n < 0) {
			why = errno;
			close(fd);
			free(*data);
			*data = NULL;
			errno = why;
			return false;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	*size = got;
	return true;
}

/* For reading once: what was never written is not read. The caller unmaps it. */
static const unsigned char *
map_file(int dir_fd, const char *name, size_t *size)
{
	struct stat st;
	void *data = MAP_FAILED;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		*size = (size_t)st.st_size;
		data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	close(fd);
	return data == MAP_FAILED ? NULL : data;
}

static bool
head_parse(const unsigned char *p, size_t n, struct segment_head *h)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	if (n < HEADER_BYTES || memcmp(p, magic, sizeof magic) != 0 ||
	    get_int(p + HEADER_BYTES - 4, 4) != text_crc32c(0, p, HEADER_BYTES - 4))
		return false;
	for (i = 0; i < 16; i++) {
		h->id[2 * i] = digits[p[8 + i] >> 4];
		h->id[2 * i + 1] = digits[p[8 + i] & 15];
	}
	h->id[JOURNAL_ID_LEN] = '\0';
	memcpy(h->boot_id, p + 24, 36);
	h->boot_id[36] = '\0';
	h->number = get_int(p + 60, 8);
	h->unbroken_since = (int64_t)get_int(p + 68, 8);
	h->next_report = get_int(p + 76, 8);
	return true;
}

static void
head_build(const struct journal *j, uint64_t number, unsigned char *p)
{
	size_t i;
	unsigned v;

	memset(p, 0, HEADER_BYTES);
	memcpy(p, magic, sizeof magic);
	for (i = 0; i < 16; i++) {
		v = 0;
		if (sscanf(j->id + 2 * i, "%2x", &v) != 1)
			v = 0;
		p[8 + i] = (unsigned char)v;
	}
	memcpy(p + 24, j->boot_id, strnlen(j->boot_id, 36));
	put_int(p + 60, number, 8);
	put_int(p + 68, (uint64_t)j->unbroken_since, 8);
	put_int(p + 76, j->next_report, 8);
	put_int(p + HEADER_BYTES - 4, text_crc32c(0, p, HEADER_BYTES - 4), 4);
}

/* Gives the next whole record; *at moves on. False at the end; *damage tells whether the end is
 * none. */
static bool
record_next(const unsigned char *p, size_t n, size_t *at, enum mark_type *type, struct in *payload,
	    bool *damage)
{
	size_t len, last;

	*damage = false;
	if (*at + RECORD_HEAD > n)
		return false;
	len = (size_t)get_int(p + *at + 4, 2);
	if (len != 0 && len + RECORD_HEAD <= RECORD_MAX && *at + RECORD_HEAD + len <= n &&
	    get_int(p + *at, 4) == text_crc32c(0, p + *at + 4, RECORD_HEAD - 4 + len)) {
		*type = (enum mark_type)p[*at + 6];
		*payload = (struct in){ p + *at + RECORD_HEAD, len, false };
		*at += RECORD_HEAD + len;
		return true;
	}
	/* A record never begins with so many zeroes: this is the end, and the rest need not be
	 * looked at. */
	if (get_int(p + *at, RECORD_HEAD) == 0)
		return false;
	for (last = n; last > *at && p[last - 1] == 0; last--)
		;
	*damage = last - *at > RECORD_MAX;
	/* A kill inside write(2) leaves a prefix of one record and zeroes; a whole record behind a
	 * bad one is damage however short it is. */
	if (!*damage && last > *at) {
		size_t k;

		for (k = *at + 1; k + RECORD_HEAD < last && !*damage; k++) {
			len = (size_t)get_int(p + k + 4, 2);
			*damage = len != 0 && k + RECORD_HEAD + len <= n &&
				  p[k + 6] >= MARK_START && p[k + 6] <= MARK_LAST &&
				  get_int(p + k, 4) ==
					  text_crc32c(0, p + k + 4, RECORD_HEAD - 4 + len);
		}
	}
	return false;
}

static void
replay(struct journal *j, enum mark_type type, struct in *in, bool *bad)
{
	struct journal_mark m;
	struct outcome o;
	struct report r;
	uint64_t number;
	size_t from, n;

	switch (type) {
	case MARK_START:
		j->incarnation = (int64_t)in_int(in, 8);
		break;
	case MARK_SUBMIT:
		in_mark(in, &m);
		in_text(in, m.client_key, sizeof m.client_key);
		in_text(in, m.channel, sizeof m.channel);
		if (!in->bad)
			live_submit(j, &m);
		break;
	case MARK_ANSWER:
		in_mark(in, &m);
		in_answer(in, &o, &n);
		if (!in->bad && !live_answer(j, &m, &o, n))
			in->bad = true;
		break;
	case MARK_IDS:
		in_mark(in, &m);
		from = (size_t)in_int(in, 4);
		n = (size_t)in_int(in, 2);
		if (n == 0 || n > in->n || memchr(in->p, '\0', n) != NULL)
			in->bad = true;
		if (!in->bad && !live_ids(j, &m, from, in->p, n))
			in->bad = true;
		break;
	case MARK_SETTLED:
		in_mark(in, &m);
		if (!in->bad)
			live_settled(j, &m);
		break;
	case MARK_REPORT:
		in_report(in, &number, &r);
		if (!in->bad)
			live_report(j, number, &r);
		break;
	case MARK_SEEN:
		j->claim_seq = (int64_t)in_int(in, 8);
		j->identity = in_int(in, 8);
		break;
	case MARK_REPORT_SETTLED:
		number = in_int(in, 8);
		if (!in->bad)
			live_report_settled(j, number);
		break;
	default:
		in->bad = true;
		break;
	}
	*bad = in->bad;
}

/* ---- segments ---- */

static void
segment_name(uint64_t number, char *buf, size_t size)
{
	snprintf(buf, size, "journal.%08" PRIu64, number);
}

static int
compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The numbers of all segments, ascending; the caller frees them. */
static enum rc
segment_list(const struct journal *j, uint64_t **list, size_t *n, struct err *e)
{
	struct dirent *d;
	DIR *dir;
	uint64_t *more;
	int64_t v;
	int fd, why;

	*list = NULL;
	*n = 0;
	fd = openat(j->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return err_set(e, RC_CONFIG, errno, "journal.list", "cannot list state_dir %s: %s",
			       j->dir, strerror(errno));
	}
	while (errno = 0, (d = readdir(dir)) != NULL) {
		if (strncmp(d->d_name, "journal.", 8) != 0 || strlen(d->d_name) != 16 ||
		    !text_i64_n(d->d_name + 8, 8, 0, INT64_MAX, &v))
			continue;
		more = realloc(*list, (*n + 1) * sizeof **list);
		if (more == NULL) {
			closedir(dir);
			free(*list);
			*list = NULL;
			return err_set(e, RC_NOMEM, ENOMEM, "journal.list", "out of memory");
		}
		*list = more;
		(*list)[(*n)++] = (uint64_t)v;
	}
	why = errno;
	closedir(dir);
	/* Half a list would make marks that are there count as absent. */
	if (why != 0) {
		free(*list);
		*list = NULL;
		*n = 0;
		return err_set(e, RC_CONFIG, why, "journal.list", "cannot list state_dir %s: %s",
			       j->dir, strerror(why));
	}
	if (*n > 1)
		qsort(*list, *n, sizeof **list, compare_u64);
	return RC_OK;
}

static bool
write_all(int fd, const unsigned char *p, size_t n)
{
	ssize_t w;

	while (n > 0) {
		w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

static void
out_seal(struct out *o, enum mark_type type)
{
	put_int(o->b + 4, o->n - RECORD_HEAD, 2);
	o->b[6] = (unsigned char)type;
	o->b[7] = 0;
	put_int(o->b, text_crc32c(0, o->b + 4, o->n - 4), 4);
}

static void
out_begin(struct out *o)
{
	o->n = RECORD_HEAD;
}

/* Everything that is live, so that a reader needs the newest segment only. */
static bool
snapshot(const struct journal *j, int fd, int64_t *used)
{
	const struct attempt *a;
	const struct kept_report *k;
	struct out o;
	size_t i, at, n;

	out_begin(&o);
	out_int(&o, (uint64_t)j->incarnation, 8);
	out_seal(&o, MARK_START);
	if (!write_all(fd, o.b, o.n))
		return false;
	*used += (int64_t)o.n;
	if (j->claim_seq >= 0) {
		out_begin(&o);
		out_int(&o, (uint64_t)j->claim_seq, 8);
		out_int(&o, j->identity, 8);
		out_seal(&o, MARK_SEEN);
		if (!write_all(fd, o.b, o.n))
			return false;
		*used += (int64_t)o.n;
	}
	for (i = 0; i < BUCKETS; i++) {
		for (a = j->attempts[i]; a != NULL; a = a->next) {
			out_begin(&o);
			out_submit(&o, &a->mark);
			out_seal(&o, MARK_SUBMIT);
			if (!write_all(fd, o.b, o.n))
				return false;
			*used += (int64_t)o.n;
			if (!a->has_answer)
				continue;
			for (at = 0; a->answer.more_ids != NULL && at < a->ids_n; at += n) {
				n = a->ids_n - at < IDS_CHUNK ? a->ids_n - at : IDS_CHUNK;
				out_begin(&o);
				out_ids(&o, &a->mark, a->ids, at, n);
				out_seal(&o, MARK_IDS);
				if (!write_all(fd, o.b, o.n))
					return false;
				*used += (int64_t)o.n;
			}
			out_begin(&o);
			out_answer(&o, &a->mark, &a->answer);
			out_seal(&o, MARK_ANSWER);
			if (!write_all(fd, o.b, o.n))
				return false;
			*used += (int64_t)o.n;
		}
		for (k = j->reports[i]; k != NULL; k = k->next) {
			out_begin(&o);
			out_report(&o, k->number, &k->report);
			out_seal(&o, MARK_REPORT);
			if (!write_all(fd, o.b, o.n))
				return false;
			*used += (int64_t)o.n;
		}
	}
	return true;
}

static void
drop_old(struct journal *j)
{
	uint64_t *list;
	size_t n, i;
	char name[32];
	struct err e;

	if (segment_list(j, &list, &n, &e) != RC_OK)
		return;
	for (i = 0; i < n; i++)
		if (list[i] < j->segment && (int64_t)(n - i) * j->segment_bytes > j->keep_bytes) {
			segment_name(list[i], name, sizeof name);
			unlinkat(j->dir_fd, name, 0);
		}
	free(list);
}

/* Makes the next segment under a temporary name and puts it in place whole: a reader never meets
 * half a snapshot. */
static enum rc
segment_new(struct journal *j, struct err *e)
{
	unsigned char head[HEADER_BYTES];
	int64_t used = HEADER_BYTES;
	char name[32];
	int fd, why;

	fd = openat(j->dir_fd, "journal.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return err_set(e,
			       errno == ENOSPC || errno == EDQUOT || errno == EMFILE ? RC_AGAIN
										     : RC_CONFIG,
			       errno, "journal.segment",
			       "cannot create a journal segment in %s: %s", j->dir,
			       strerror(errno));
	why = posix_fallocate(fd, 0, j->segment_bytes);
	if (why != 0)
		goto failed;
	head_build(j, j->segment + 1, head);
	errno = 0;
	if (!write_all(fd, head, sizeof head) || !snapshot(j, fd, &used)) {
		why = errno != 0 ? errno : EIO;
		goto failed;
	}
	/* What a provider hands out once must not depend on the old file any more before it is safe
	 * in the new one. */
	if (j->report_count > 0 && fdatasync(fd) != 0) {
		why = errno;
		goto failed;
	}
	segment_name(j->segment + 1, name, sizeof name);
	if (renameat(j->dir_fd, "journal.new", j->dir_fd, name) != 0) {
		why = errno;
		goto failed;
	}
	/* Reports that are synced into this file later must find its name after a power cut. */
	(void)fsync(j->dir_fd);
	if (j->fd >= 0)
		close(j->fd);
	j->fd = fd;
	j->segment++;
	j->used = used;
	drop_old(j);
	return RC_OK;
failed:
	close(fd);
	unlinkat(j->dir_fd, "journal.new", 0);
	return err_set(
		e, RC_AGAIN, why, "journal.segment",
		"cannot allocate %" PRId64
		" bytes for the journal in %s: %s; free some space, sending goes on by itself",
		j->segment_bytes, j->dir, strerror(why));
}

/* ---- opening ---- */

static enum rc
lock_dir(struct journal *j, struct err *e)
{
	char text[32] = "";
	ssize_t n;

	j->dir_fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dir_fd < 0)
		return err_set(e, RC_CONFIG, errno, "journal.open",
			       "cannot open agent.state_dir %s: %s", j->dir, strerror(errno));
	j->lock_fd = openat(j->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->lock_fd < 0)
		return err_set(e, RC_CONFIG, errno, "journal.open", "cannot create %s/lock: %s",
			       j->dir, strerror(errno));
	if (flock(j->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		n = pread(j->lock_fd, text, sizeof text - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		return err_set(e, RC_CONFIG, errno, "journal.open",
			       "agent.state_dir %s is in use by another mtrelayd (process %s); "
			       "stop it or give this agent a folder of its own",
			       j->dir, text[0] != '\0' ? text : "unknown");
	}
	n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(j->lock_fd, 0) != 0 || pwrite(j->lock_fd, text, (size_t)n, 0) != n)
		return err_set(e, RC_CONFIG, errno, "journal.open", "cannot write %s/lock: %s",
			       j->dir, strerror(errno));
	return RC_OK;
}

static void
read_boot_id(char *buf, size_t size)
{
	FILE *f = fopen(BOOT_ID_FILE, "re");

	buf[0] = '\0';
	if (f != NULL) {
		if (fgets(buf, (int)size, f) == NULL)
			buf[0] = '\0';
		fclose(f);
	}
	buf[strcspn(buf, "\n")] = '\0';
	buf[strnlen(buf, 36)] = '\0';
}

static enum rc
make_id(struct journal *j, struct err *e)
{
	unsigned char raw[16];
	size_t i;

	if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
		return err_set(e, RC_CONFIG, errno, "journal.open", "no random numbers: %s",
			       strerror(errno));
	for (i = 0; i < sizeof raw; i++)
		snprintf(j->id + 2 * i, 3, "%02x", raw[i]);
	return RC_OK;
}

/* Reads the newest segment into the live set. */
static enum rc
load(struct journal *j, struct journal_info *info, struct err *e)
{
	unsigned char *data = NULL;
	struct segment_head h;
	struct in payload;
	enum mark_type type = MARK_START;
	uint64_t *list;
	size_t n, size = 0, at = HEADER_BYTES;
	bool bad = false, damage = false;
	char name[32];
	enum rc rc;

	rc = segment_list(j, &list, &n, e);
	if (rc != RC_OK)
		return rc;
	if (n == 0) {
		free(list);
		info->is_new = true;
		j->unbroken_since = INT64_MAX;
		j->next_report = 1;
		return make_id(j, e);
	}
	j->segment = list[n - 1];
	free(list);
	segment_name(j->segment, name, sizeof name);
	if (!read_file(j->dir_fd, name, &data, &size))
		return err_set(e, RC_CONFIG, errno, "journal.open", "cannot read %s/%s: %s", j->dir,
			       name, strerror(errno));
	if (!head_parse(data, size, &h)) {
		free(data);
		info->is_broken = true;
		j->unbroken_since = INT64_MAX;
		j->next_report = 1;
		log_event(LOG_LEVEL_ERROR, "journal.broken",
			  "segment=%s at=0 text=\"header does not check; a new journal is begun\"",
			  name);
		return make_id(j, e);
	}
	memcpy(j->id, h.id, sizeof j->id);
	j->unbroken_since = h.unbroken_since;
	j->next_report = h.next_report;
	info->same_boot = j->boot_id[0] != '\0' && strcmp(h.boot_id, j->boot_id) == 0;
	while (!bad && record_next(data, size, &at, &type, &payload, &damage))
		replay(j, type, &payload, &bad);
	free(data);
	info->is_broken = bad || damage;
	if (info->is_broken)
		log_event(LOG_LEVEL_ERROR, "journal.broken",
			  "segment=%s at=%zu text=\"what stands before is used, rows without a "
			  "mark count as sent\"",
			  name, at);
	info->last_incarnation = j->incarnation;
	return RC_OK;
}

enum rc
journal_open(const char *dir, int64_t segment_bytes, int64_t keep_bytes, struct journal **out,
	     struct journal_info *info, struct err *e)
{
	struct journal *j;
	enum rc rc;

	*out = NULL;
	memset(info, 0, sizeof *info);
	j = calloc(1, sizeof *j);
	if (j == NULL || (j->dir = strdup(dir)) == NULL) {
		free(j);
		return err_set(e, RC_NOMEM, ENOMEM, "journal.open", "out of memory");
	}
	j->fd = j->dir_fd = j->lock_fd = -1;
	j->claim_seq = -1;
	j->segment_bytes = segment_bytes;
	j->keep_bytes = keep_bytes;
	read_boot_id(j->boot_id, sizeof j->boot_id);
	rc = lock_dir(j, e);
	if (rc == RC_OK)
		rc = load(j, info, e);
	if (rc != RC_OK) {
		journal_close(j);
		return rc;
	}
	/* After a reboot the page cache is gone and with it perhaps marks; after damage the same.
	 */
	if (!info->is_new && (info->is_broken || !info->same_boot))
		j->unbroken_since = INT64_MAX;
	info->unbroken_since = j->unbroken_since;
	memcpy(info->id, j->id, sizeof info->id);
	memcpy(info->boot_id, j->boot_id, sizeof info->boot_id);
	info->live = j->live;
	info->claim_seq = j->claim_seq;
	info->identity = j->identity;
	info->reports = j->report_count;
	rc = segment_new(j, e);
	if (rc != RC_OK) {
		journal_close(j);
		return rc;
	}
	*out = j;
	return RC_OK;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	live_clear(j);
	if (j->fd >= 0)
		close(j->fd);
	if (j->lock_fd >= 0)
		close(j->lock_fd);
	if (j->dir_fd >= 0)
		close(j->dir_fd);
	free(j->dir);
	free(j);
}

/* ---- writing ---- */

/* Room for n records of at most `each` bytes and for what the live attempts may still have to say.
 */
static enum rc
make_room(struct journal *j, size_t n, size_t each, size_t more_live, struct err *e)
{
	int64_t need = (int64_t)(n * each + (j->live + more_live) * RESERVE_ATTEMPT +
				 (j->report_count + more_live) * RESERVE_REPORT);

	if (j->used + need <= j->segment_bytes)
		return RC_OK;
	return segment_new(j, e);
}

static enum rc
append(struct journal *j, const unsigned char *p, size_t n, struct err *e)
{
	if (!write_all(j->fd, p, n))
		return err_set(e, RC_BUG, errno, "journal.write",
			       "cannot write to the journal in %s: %s", j->dir, strerror(errno));
	j->used += (int64_t)n;
	return RC_OK;
}

/* Collects records so that many marks are one write(2). */
struct writer {
	struct journal *j;
	unsigned char buf[64 * 1024];
	size_t n;
	enum rc rc;
	struct err *e;
};

static void
writer_add(struct writer *w, const struct out *o)
{
	if (w->n + o->n > sizeof w->buf && w->rc == RC_OK) {
		w->rc = append(w->j, w->buf, w->n, w->e);
		w->n = 0;
	}
	if (w->rc != RC_OK)
		return;
	memcpy(w->buf + w->n, o->b, o->n);
	w->n += o->n;
}

static enum rc
writer_end(struct writer *w)
{
	if (w->rc == RC_OK && w->n > 0)
		w->rc = append(w->j, w->buf, w->n, w->e);
	return w->rc;
}

enum rc
journal_start(struct journal *j, int64_t incarnation, struct err *e)
{
	struct out o;
	enum rc rc;

	j->incarnation = incarnation;
	/* From here on an absent mark proves that nothing left: remember it in the header of a
	 * fresh segment. */
	if (j->unbroken_since == INT64_MAX)
		j->unbroken_since = incarnation;
	rc = segment_new(j, e);
	if (rc != RC_OK)
		return rc;
	out_begin(&o);
	out_int(&o, (uint64_t)incarnation, 8);
	out_seal(&o, MARK_START);
	return append(j, o.b, o.n, e);
}

enum rc
journal_seen(struct journal *j, int64_t claim_seq, uint64_t identity, struct err *e)
{
	struct out o;
	enum rc rc;

	rc = make_room(j, 1, 32, 0, e);
	if (rc != RC_OK)
		return rc;
	j->claim_seq = claim_seq;
	j->identity = identity;
	out_begin(&o);
	out_int(&o, (uint64_t)claim_seq, 8);
	out_int(&o, identity, 8);
	out_seal(&o, MARK_SEEN);
	return append(j, o.b, o.n, e);
}

enum rc
journal_submit(struct journal *j, const struct journal_mark *m, size_t n, struct err *e)
{
	struct writer w = { .j = j, .rc = RC_OK, .e = e };
	struct out o;
	size_t i;
	enum rc rc;

	rc = make_room(j, n, 192, n, e);
	if (rc != RC_OK)
		return rc;
	rc = FAILPOINT(journal_before_submit);
	if (rc != RC_OK)
		return err_set(e, RC_AGAIN, 0, "journal.submit", "failpoint");
	for (i = 0; i < n; i++) {
		out_begin(&o);
		out_submit(&o, &m[i]);
		out_seal(&o, MARK_SUBMIT);
		writer_add(&w, &o);
	}
	rc = writer_end(&w);
	for (i = 0; i < n && rc == RC_OK; i++)
		live_submit(j, &m[i]);
	return rc;
}

/* In the journal, with the heads of their records; 0: there are none, or more than anybody sends.
 */
static size_t
ids_bytes(const struct outcome *a)
{
	size_t n = a->more_ids != NULL ? strlen(a->more_ids) : 0;

	return n == 0 || n > ID_BYTES_MAX ? 0 : n + (n / IDS_CHUNK + 1) * (RECORD_HEAD + 35);
}

static void
write_ids(struct writer *w, const struct journal_mark *m, const char *ids)
{
	size_t all = strlen(ids), at, n;
	struct out o;

	for (at = 0; at < all; at += n) {
		n = all - at < IDS_CHUNK ? all - at : IDS_CHUNK;
		(void)live_ids(w->j, m, at, (const unsigned char *)ids + at, n);
		out_begin(&o);
		out_ids(&o, m, ids, at, n);
		out_seal(&o, MARK_IDS);
		writer_add(w, &o);
	}
}

enum rc
journal_answer(struct journal *j, const struct journal_mark *m, const struct outcome *a, size_t n,
	       struct err *e)
{
	struct writer w = { .j = j, .rc = RC_OK, .e = e };
	struct outcome answer;
	struct out o;
	struct err why;
	size_t i, extra = 0;

	for (i = 0; i < n; i++)
		extra += ids_bytes(&a[i]);
	/* The SUBMIT has reserved no room for ids. Without a disk the database is the only place
	 * left for them. */
	if (extra > 0 && make_room(j, 1, extra, 0, &why) != RC_OK) {
		log_err(LOG_LEVEL_ERROR, "journal.failed", &why, "answers=%zu", n);
		extra = 0;
	}
	for (i = 0; i < n; i++) {
		answer = a[i];
		if (extra == 0 || ids_bytes(&answer) == 0)
			answer.more_ids = NULL;
		else
			write_ids(&w, &m[i], answer.more_ids);
		(void)live_answer(j, &m[i], &answer,
				  answer.more_ids != NULL ? strlen(answer.more_ids) : 0);
		out_begin(&o);
		out_answer(&o, &m[i], &answer);
		out_seal(&o, MARK_ANSWER);
		writer_add(&w, &o);
	}
	return writer_end(&w);
}

enum rc
journal_settled(struct journal *j, const struct journal_mark *m, size_t n, struct err *e)
{
	struct writer w = { .j = j, .rc = RC_OK, .e = e };
	struct out o;
	size_t i;

	for (i = 0; i < n; i++) {
		/* An attempt without a mark never had a byte: nothing to forget. */
		if (!journal_knows(j, m[i].msg_id, m[i].leg, m[i].try_no))
			continue;
		out_begin(&o);
		out_mark(&o, &m[i]);
		out_seal(&o, MARK_SETTLED);
		writer_add(&w, &o);
		live_settled(j, &m[i]);
	}
	return writer_end(&w);
}

enum rc
journal_report(struct journal *j, const struct report *r, uint64_t *number, size_t n, struct err *e)
{
	struct writer w = { .j = j, .rc = RC_OK, .e = e };
	struct out o;
	size_t i;
	enum rc rc;

	rc = make_room(j, n, 400, n, e);
	if (rc != RC_OK)
		return rc;
	for (i = 0; i < n; i++) {
		number[i] = j->next_report + i;
		out_begin(&o);
		out_report(&o, number[i], &r[i]);
		out_seal(&o, MARK_REPORT);
		writer_add(&w, &o);
	}
	rc = writer_end(&w);
	for (i = 0; i < n && rc == RC_OK; i++)
		live_report(j, number[i], &r[i]);
	return rc;
}

enum rc
journal_report_settled(struct journal *j, const uint64_t *number, size_t n, struct err *e)
{
	struct writer w = { .j = j, .rc = RC_OK, .e = e };
	struct out o;
	size_t i;

	for (i = 0; i < n; i++) {
		out_begin(&o);
		out_int(&o, number[i], 8);
		out_seal(&o, MARK_REPORT_SETTLED);
		writer_add(&w, &o);
		live_report_settled(j, number[i]);
	}
	return writer_end(&w);
}

int
journal_sync_fd(const struct journal *j)
{
	return fcntl(j->fd, F_DUPFD_CLOEXEC, 0);
}

bool
journal_knows(const struct journal *j, int64_t msg_id, int32_t leg, int32_t try_no)
{
	return *attempt_place(j, msg_id, leg, try_no) != NULL;
}

size_t
journal_live(const struct journal *j)
{
	return j->live;
}

void
journal_each(const struct journal *j,
	     void (*each)(void *arg, const struct journal_mark *m, const struct outcome *o),
	     void *arg)
{
	const struct attempt *a, *next;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (a = j->attempts[i]; a != NULL; a = next) {
			next = a->next;
			each(arg, &a->mark, a->has_answer ? &a->answer : NULL);
		}
}

void
journal_each_report(const struct journal *j,
		    void (*each)(void *arg, const struct report *r, uint64_t number), void *arg)
{
	const struct kept_report *k, *next;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (k = j->reports[i]; k != NULL; k = next) {
			next = k->next;
			each(arg, &k->report, k->number);
		}
}

enum rc
journal_scan(const struct journal *j, void (*each)(void *arg, const struct journal_mark *m),
	     void *arg, bool *is_whole, struct err *e)
{
	struct journal_mark m;
	struct segment_head h;
	struct in payload;
	enum mark_type type = MARK_START;
	const unsigned char *data;
	uint64_t *list;
	size_t n, i, size, at;
	bool damage = false;
	char name[32];
	enum rc rc;

	*is_whole = true;
	rc = segment_list(j, &list, &n, e);
	for (i = 0; rc == RC_OK && i < n; i++) {
		segment_name(list[i], name, sizeof name);
		data = map_file(j->dir_fd, name, &size);
		if (data == NULL) {
			*is_whole = false;
			continue;
		}
		if (!head_parse(data, size, &h))
			*is_whole = false;
		else if (strcmp(h.id, j->id) == 0)
			for (at = HEADER_BYTES;
			     record_next(data, size, &at, &type, &payload, &damage);) {
				if (type != MARK_SUBMIT)
					continue;
				in_mark(&payload, &m);
				in_text(&payload, m.client_key, sizeof m.client_key);
				in_text(&payload, m.channel, sizeof m.channel);
				if (!payload.bad)
					each(arg, &m);
			}
		if (damage)
			*is_whole = false;
		(void)munmap((void *)(uintptr_t)data, size);
	}
	free(list);
	return rc;
}
