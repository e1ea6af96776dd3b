/* fuzz.h - what the fuzz targets share: taking the input apart, and a way to say that something
 * must hold.
 *
 * A target ends by abort() where a promise is broken; the input that did it is kept by the fuzzer.
 * What a target needs of the file system lies in a folder of its own below TMPDIR, which
 * tests/fuzz/run removes. */
#ifndef MTRELAY_FUZZ_H
#define MTRELAY_FUZZ_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define must(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

struct bytes {
	const uint8_t *p;
	size_t n;
};

/* 0 at the end. */
static inline unsigned
take_byte(struct bytes *b)
{
	if (b->n == 0)
		return 0;
	b->n--;
	return *b->p++;
}

static inline uint64_t
take_int(struct bytes *b, unsigned size)
{
	uint64_t v = 0;

	while (size-- > 0)
		v = v << 8 | take_byte(b);
	return v;
}

/* At most max bytes. */
static inline struct bytes
take_some(struct bytes *b, size_t max)
{
	struct bytes part = { b->p, b->n < max ? b->n : max };

	b->p += part.n;
	b->n -= part.n;
	return part;
}

/* Up to the byte, which goes too; all when there is none. */
static inline struct bytes
take_until(struct bytes *b, int stop)
{
	const uint8_t *at = b->n > 0 ? memchr(b->p, stop, b->n) : NULL;
	struct bytes part = take_some(b, at != NULL ? (size_t)(at - b->p) : b->n);

	(void)take_some(b, at != NULL ? 1 : 0);
	return part;
}

/* A copy with a NUL behind it, exactly as large as needed so that a byte too far is noticed. */
static inline char *
copy_of(struct bytes b)
{
	char *p = malloc(b.n + 1);

	must(p != NULL);
	if (b.n > 0)
		memcpy(p, b.p, b.n);
	p[b.n] = '\0';
	return p;
}

/* A new folder below TMPDIR. */
static inline const char *
own_folder(void)
{
	static char path[512];
	const char *top = getenv("TMPDIR");

	snprintf(path, sizeof path, "%s/mtrelay-fuzz-XXXXXX", top != NULL ? top : "/tmp");
	must(mkdtemp(path) != NULL);
	return path;
}

#endif
