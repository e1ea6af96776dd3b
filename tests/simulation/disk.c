/* disk.c - a folder of files in memory for each agent. What is written is in the page cache: the
 * agent's death keeps it, a power cut keeps what was synced and a piece of the rest. */
#include "config.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/simulation/disk.h"
#include "tests/simulation/sim.h"

#define FILES_MAX 24
#define FDS_MAX 96
#define FD_FIRST 5000
#define FILE_MAX_BYTES 65536

struct file {
	bool exists;
	char name[32];
	unsigned char *data; /* FILE_MAX_BYTES, zeroes behind size */
	size_t size, written, synced;
};

struct descriptor {
	bool is_open, is_dir;
	int agent;
	struct file *file;
	size_t at;
};

struct disk_dir {
	int agent, at;
	struct dirent entry;
};

static struct file files[AGENTS_MAX][FILES_MAX];
static struct descriptor fds[FDS_MAX];
static struct disk_dir listing; /* one at a time: the agent does not yield while it reads */

static struct descriptor *
get(int fd)
{
	if (fd < FD_FIRST || fd >= FD_FIRST + FDS_MAX || !fds[fd - FD_FIRST].is_open) {
		violation("a closed descriptor is used: %d", fd);
		abort();
	}
	return &fds[fd - FD_FIRST];
}

static int
add(int agent, bool is_dir, struct file *f)
{
	int i;

	for (i = 0; i < FDS_MAX; i++)
		if (!fds[i].is_open) {
			fds[i] = (struct descriptor){ true, is_dir, agent, f, 0 };
			return FD_FIRST + i;
		}
	violation("descriptors leak");
	abort();
}

static void
empty(struct file *f)
{
	if (f->data != NULL)
		memset(f->data, 0, f->written);
	f->size = f->written = f->synced = 0;
}

static struct file *
find(int agent, const char *name)
{
	int i;

	for (i = 0; i < FILES_MAX; i++)
		if (files[agent][i].exists && strcmp(files[agent][i].name, name) == 0)
			return &files[agent][i];
	return NULL;
}

int
disk_open(const char *path)
{
	return add(path[strlen(path) - 1] - '0', true, NULL);
}

int
disk_openat(int dir, const char *name, int flags)
{
	int agent = get(dir)->agent, i;
	struct file *f;

	if (strcmp(name, ".") == 0)
		return add(agent, true, NULL);
	f = find(agent, name);
	if (f == NULL && (flags & O_CREAT) == 0) {
		errno = ENOENT;
		return -1;
	}
	for (i = 0; f == NULL && i < FILES_MAX; i++)
		if (!files[agent][i].exists) {
			f = &files[agent][i];
			f->exists = true;
			snprintf(f->name, sizeof f->name, "%s", name);
			if (f->data == NULL)
				f->data = calloc(1, FILE_MAX_BYTES);
			empty(f);
		}
	if (f == NULL) {
		violation("files leak in state_dir");
		abort();
	}
	if ((flags & O_TRUNC) != 0)
		empty(f);
	return add(agent, false, f);
}

int
disk_close(int fd)
{
	get(fd)->is_open = false;
	return 0;
}

int
disk_fstat(int fd, struct stat *st)
{
	memset(st, 0, sizeof *st);
	st->st_size = (off_t)get(fd)->file->size;
	return 0;
}

ssize_t
disk_read(int fd, void *p, size_t n)
{
	struct descriptor *d = get(fd);

	if (n > d->file->size - d->at)
		n = d->file->size - d->at;
	memcpy(p, d->file->data + d->at, n);
	d->at += n;
	return (ssize_t)n;
}

ssize_t
disk_write(int fd, const void *p, size_t n)
{
	struct descriptor *d = get(fd);
	struct agent *a = &W.agents[d->agent];
	size_t keep = n;

	/* A kill inside write(2) may leave a prefix. */
	if (a->crash_in == 1 && W.faults && chance(3000))
		keep = (size_t)pick((unsigned)n + 1);
	if (d->at + keep > FILE_MAX_BYTES) {
		violation("the journal writes behind its segment");
		abort();
	}
	memcpy(d->file->data + d->at, p, keep);
	d->at += keep;
	if (d->file->written < d->at)
		d->file->written = d->at;
	if (d->file->size < d->at)
		d->file->size = d->at;
	if (keep < n)
		a->crash_in = 1;
	crash_point();
	return (ssize_t)n;
}

void *
disk_map(int fd)
{
	return get(fd)->file->data;
}

struct disk_dir *
disk_opendir(int fd)
{
	listing.agent = get(fd)->agent;
	listing.at = 0;
	get(fd)->is_open = false;
	return &listing;
}

struct dirent *
disk_readdir(struct disk_dir *d)
{
	while (d->at < FILES_MAX) {
		const struct file *f = &files[d->agent][d->at++];

		if (!f->exists)
			continue;
		snprintf(d->entry.d_name, sizeof d->entry.d_name, "%s", f->name);
		return &d->entry;
	}
	return NULL;
}

int
disk_closedir(struct disk_dir *d)
{
	(void)d;
	return 0;
}

int
disk_allocate(int fd, int64_t size)
{
	struct descriptor *d = get(fd);

	if (W.agents[d->agent].disk_is_full)
		return ENOSPC;
	d->file->size = (size_t)size;
	return 0;
}

int
disk_sync(int fd)
{
	struct descriptor *d = get(fd);

	if (W.faults && chance(200)) {
		errno = EIO;
		return -1;
	}
	d->file->synced = d->file->written;
	return 0;
}

int
disk_rename(const char *from, int dir, const char *to)
{
	int agent = get(dir)->agent;
	struct file *f = find(agent, from);
	struct file *old = find(agent, to);

	if (old != NULL)
		old->exists = false;
	snprintf(f->name, sizeof f->name, "%s", to);
	crash_point();
	return 0;
}

int
disk_unlink(int dir, const char *name)
{
	struct file *f = find(get(dir)->agent, name);

	if (f != NULL)
		f->exists = false;
	return 0;
}

FILE *
disk_boot_id(void)
{
	struct agent *a = world_running();

	return fmemopen(a->boot_id, strlen(a->boot_id), "r");
}

ssize_t
disk_random(void *p, size_t n)
{
	unsigned char *b = p;
	size_t i;

	for (i = 0; i < n; i++)
		b[i] = (unsigned char)pick(256);
	return (ssize_t)n;
}

int
disk_dup(int fd)
{
	struct descriptor *d = get(fd);

	return add(d->agent, false, d->file);
}

void
disk_begin(void)
{
	int a;

	for (a = 0; a < AGENTS_MAX; a++)
		disk_wipe(&W.agents[a]);
	memset(fds, 0, sizeof fds);
}

void
disk_crash(struct agent *a)
{
	int i;

	for (i = 0; i < FDS_MAX; i++)
		if (fds[i].agent == a->no)
			fds[i].is_open = false;
}

void
disk_power_cut(struct agent *a)
{
	size_t keep;
	int i;

	for (i = 0; i < FILES_MAX; i++) {
		struct file *f = &files[a->no][i];

		if (!f->exists || f->written <= f->synced)
			continue;
		keep = f->synced + (size_t)pick((unsigned)(f->written - f->synced) + 1);
		memset(f->data + keep, 0, f->written - keep);
		f->written = keep;
	}
}

void
disk_wipe(struct agent *a)
{
	int i;

	for (i = 0; i < FILES_MAX; i++)
		files[a - W.agents][i].exists = false;
}
