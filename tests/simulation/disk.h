/* disk.h - the calls that the journal makes of the simulated disk instead of the system's. They
 * mean what their namesakes mean; disk_map() needs no unmapping. */
#ifndef MTRELAY_SIM_DISK_H
#define MTRELAY_SIM_DISK_H
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

struct disk_dir;

int disk_open(const char *path);
int disk_openat(int dir, const char *name, int flags);
int disk_close(int fd);
int disk_fstat(int fd, struct stat *st);
ssize_t disk_read(int fd, void *p, size_t n);
ssize_t disk_write(int fd, const void *p, size_t n);
void *disk_map(int fd);
struct disk_dir *disk_opendir(int fd);
struct dirent *disk_readdir(struct disk_dir *d);
int disk_closedir(struct disk_dir *d);
int disk_allocate(int fd, int64_t size);
int disk_sync(int fd);
int disk_rename(const char *from, int dir, const char *to);
int disk_unlink(int dir, const char *name);
FILE *disk_boot_id(void);
ssize_t disk_random(void *p, size_t n);
int disk_dup(int fd);

#endif
