/* A segment of the journal with any content: what was read is what the next start reads again, and
 * nothing is inferred from a journal that says more than it should.
 *
 * The first byte chooses: bit 0, the rest is the file as it is; otherwise it is a list of records
 * that get their right checksums, with raw bytes and zeroes between them where the list says so,
 * and bit 1 says whether the header is ours. */
#include "config.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/journal.h"
#include "agent/log.h"
#include "agent/text.h"
#include "tests/fuzz/fuzz.h"

#define SEGMENT_BYTES (16 * 1024)
#define HEADER_BYTES 96

static const char *folder;
static unsigned char head[HEADER_BYTES]; /* of a journal of this boot */

/* The disk is not what is tried here. */
int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}

static void
put(const char *name, const unsigned char *p, size_t n)
{
	char path[600];
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	must(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

static void
clean(void)
{
	DIR *d = opendir(folder);
	struct dirent *one;

	must(d != NULL);
	while ((one = readdir(d)) != NULL)
		if (strncmp(one->d_name, "journal.", 8) == 0)
			must(unlinkat(dirfd(d), one->d_name, 0) == 0);
	closedir(d);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct journal_info info;
	struct journal *j;
	char path[600];
	struct err e;
	int fd;

	(void)argc;
	(void)argv;
	folder = own_folder();
	must(journal_open(folder, SEGMENT_BYTES, 2 * SEGMENT_BYTES, &j, &info, &e) == RC_OK);
	must(journal_start(j, 1, &e) == RC_OK);
	journal_close(j);
	snprintf(path, sizeof path, "%s/journal.00000002", folder);
	fd = open(path, O_RDONLY);
	must(fd >= 0 && read(fd, head, sizeof head) == (ssize_t)sizeof head);
	close(fd);
	return 0;
}

static void
put_int(unsigned char *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static size_t
add_text(unsigned char *p, struct bytes t)
{
	p[0] = (unsigned char)t.n;
	memcpy(p + 1, t.p, t.n);
	return t.n + 1;
}

/* A record as the journal writes it, of few different attempts so that marks meet each other. */
static size_t
add_record(unsigned char *p, struct bytes *in)
{
	unsigned type = take_byte(in), n = 0, flags;
	struct bytes ids;
	unsigned char *payload = p + 8;

	if ((type & 0x80) != 0) {
		struct bytes raw = take_some(in, take_byte(in));

		memcpy(payload, raw.p, raw.n);
		n = (unsigned)raw.n;
	} else if ((type & 7) == 5 || (type & 7) == 6) {
		put_int(payload, take_byte(in) % 16, 8);
		n = 8;
		if ((type & 7) == 5) {
			put_int(payload + n, take_byte(in) % 4, 1);
			put_int(payload + n + 1, take_byte(in) & 1, 1);
			put_int(payload + n + 2, take_byte(in), 4);
			n += 6;
			for (int i = 0; i < 7; i++)
				n += (unsigned)add_text(payload + n,
							take_some(in, take_byte(in) % 32));
		}
	} else if (((type & 7) >= 2 && (type & 7) <= 4) || (type & 15) == 8) {
		put_int(payload, take_byte(in) % 16, 8);
		put_int(payload + 8, take_byte(in), 8);
		put_int(payload + 16, take_byte(in) % 2, 4);
		put_int(payload + 20, take_byte(in) % 2, 4);
		put_int(payload + 24, take_byte(in) % 3, 4);
		payload[28] = (unsigned char)(take_byte(in) & 1);
		n = 29;
		if ((type & 7) == 2) {
			n += (unsigned)add_text(payload + n, take_some(in, take_byte(in) % 34));
			n += (unsigned)add_text(payload + n, take_some(in, take_byte(in) % 36));
		} else if ((type & 15) == 8) {
			put_int(payload + n, take_byte(in), 4);
			ids = take_some(in, take_byte(in));
			put_int(payload + n + 4, ids.n, 2);
			memcpy(payload + n + 6, ids.p, ids.n);
			n += 6 + (unsigned)ids.n;
		} else if ((type & 7) == 3) {
			payload[n++] = (unsigned char)(take_byte(in) % 5);
			flags = take_byte(in);
			payload[n++] = (unsigned char)(flags & 7);
			put_int(payload + n, take_byte(in), 4);
			n += 4;
			for (int i = 0; i < 4; i++)
				n += (unsigned)add_text(payload + n,
							take_some(in, take_byte(in) % 48));
			put_int(payload + n, (flags & 8) != 0 ? take_byte(in) : 0, 4);
			n += 4;
		}
	} else {
		put_int(payload, take_int(in, 8), 8);
		put_int(payload + 8, take_int(in, 8), 8);
		n = 16;
	}
	put_int(p + 4, n, 2);
	p[6] = (unsigned char)(type & 0x7f & 15);
	p[7] = 0;
	put_int(p, text_crc32c(0, p + 4, 4 + n), 4);
	return 8 + n;
}

static size_t
build(unsigned char *p, unsigned kind, struct bytes *in)
{
	struct bytes raw;
	size_t n = HEADER_BYTES;

	if ((kind & 1) != 0) {
		raw = take_some(in, SEGMENT_BYTES);
		memcpy(p, raw.p, raw.n);
		return raw.n;
	}
	memcpy(p, head, sizeof head);
	if ((kind & 2) != 0) {
		p[24] ^= 1; /* another boot */
		put_int(p + HEADER_BYTES - 4, text_crc32c(0, p, HEADER_BYTES - 4), 4);
	}
	while (in->n > 0 && n + 1024 < SEGMENT_BYTES) {
		switch (take_byte(in) % 8) {
		case 0:
			raw = take_some(in, take_byte(in));
			memcpy(p + n, raw.p, raw.n);
			n += raw.n;
			break;
		case 1:
			raw.n = take_byte(in);
			memset(p + n, 0, raw.n);
			n += raw.n;
			break;
		default:
			n += add_record(p + n, in);
			break;
		}
	}
	if ((kind & 4) != 0) {
		memset(p + n, 0, SEGMENT_BYTES - n);
		n = SEGMENT_BYTES;
	}
	return n;
}

/* The live set as a sum that does not depend on the order. */
struct sum {
	size_t attempts, answers, reports;
	uint64_t all;
	const struct journal *j;
};

static uint64_t
hash(uint64_t h, const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t
hash_text(uint64_t h, const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	must(n < size);
	return hash(h, s, n + 1);
}

static void
add_attempt(void *arg, const struct journal_mark *m, const struct outcome *o)
{
	struct sum *s = arg;
	int64_t ids[] = { m->msg_id, m->fence, m->leg, m->generation, m->try_no, m->is_resend };
	uint64_t h = hash(1, ids, sizeof ids);

	must(journal_knows(s->j, m->msg_id, m->leg, m->try_no));
	s->attempts++;
	h = hash_text(h, m->client_key, sizeof m->client_key);
	h = hash_text(h, m->channel, sizeof m->channel);
	if (o != NULL) {
		int64_t facts[] = { o->kind, o->duplicate, o->certainly_ended, o->is_final,
				    o->parts };

		must(o->kind <= OUT_UNSURE);
		s->answers++;
		h = hash(h, facts, sizeof facts);
		h = hash_text(h, o->code, sizeof o->code);
		h = hash_text(h, o->provider_code, sizeof o->provider_code);
		h = hash_text(h, o->provider_id, sizeof o->provider_id);
		h = hash_text(h, o->text, sizeof o->text);
		if (o->more_ids != NULL)
			h = hash(h, o->more_ids, strlen(o->more_ids) + 1);
	}
	s->all += h;
}

static void
add_report(void *arg, const struct report *r, uint64_t number)
{
	struct sum *s = arg;
	int64_t facts[] = { (int64_t)number, r->class, r->duplicate, r->parts };
	uint64_t h = hash(2, facts, sizeof facts);

	must(r->class <= REPORT_PENDING);
	s->reports++;
	h = hash_text(h, r->client_key, sizeof r->client_key);
	h = hash_text(h, r->provider_id, sizeof r->provider_id);
	h = hash_text(h, r->channel, sizeof r->channel);
	h = hash_text(h, r->code, sizeof r->code);
	h = hash_text(h, r->provider_code, sizeof r->provider_code);
	h = hash_text(h, r->carrier, sizeof r->carrier);
	s->all += hash_text(h, r->done_at, sizeof r->done_at);
}

static struct sum
sum_of(const struct journal *j)
{
	struct sum s = { .j = j };

	journal_each(j, add_attempt, &s);
	journal_each_report(j, add_report, &s);
	must(s.attempts == journal_live(j));
	return s;
}

static void
seen(void *arg, const struct journal_mark *m)
{
	must(strnlen(m->client_key, sizeof m->client_key) < sizeof m->client_key);
	++*(size_t *)arg;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char file[SEGMENT_BYTES];
	struct bytes in = { data, size };
	struct journal_mark m = { .msg_id = 1000, .fence = 1, .client_key = "k", .channel = "c" };
	struct report r = { .class = REPORT_OK, .provider_id = "p", .channel = "c" };
	struct journal_info info, again;
	struct sum before, after;
	struct journal *j;
	uint64_t number;
	size_t marks = 0;
	bool is_whole;
	struct err e;

	clean();
	put("journal.00000007", file, build(file, take_byte(&in), &in));
	must(journal_open(folder, SEGMENT_BYTES, 2 * SEGMENT_BYTES, &j, &info, &e) == RC_OK);
	must(!info.is_new && (!info.is_broken || info.unbroken_since == INT64_MAX));
	before = sum_of(j);
	must(info.live == before.attempts && info.reports == before.reports);
	must(journal_scan(j, seen, &marks, &is_whole, &e) == RC_OK && marks >= before.attempts);

	/* It goes on from there. */
	must(journal_start(j, 5, &e) == RC_OK);
	must(journal_submit(j, &m, 1, &e) == RC_OK &&
	     journal_report(j, &r, &number, 1, &e) == RC_OK);
	journal_close(j);
	must(journal_open(folder, SEGMENT_BYTES, 2 * SEGMENT_BYTES, &j, &again, &e) == RC_OK);
	must(!again.is_broken && again.same_boot && again.last_incarnation == 5);
	must(strcmp(again.id, info.id) == 0);
	must(again.claim_seq == info.claim_seq || info.claim_seq < 0);
	must(again.live == before.attempts + 1 && again.reports == before.reports + 1);
	must(journal_settled(j, &m, 1, &e) == RC_OK &&
	     journal_report_settled(j, &number, 1, &e) == RC_OK);
	after = sum_of(j);
	must(after.all == before.all && after.answers == before.answers);
	journal_close(j);
	return 0;
}
