/* hooks_disk.h - the system calls of the journal, sent to disk.c. Included before a source of the
 * agent. */
#ifndef MTRELAY_HOOKS_DISK_H
#define MTRELAY_HOOKS_DISK_H
#include "config.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/simulation/disk.h"

#define open(path, flags) disk_open(path)
#define openat(dir, name, flags, ...) disk_openat(dir, name, (flags))
#define close(fd) disk_close(fd)
#define fstat(fd, st) disk_fstat(fd, st)
#define read(fd, p, n) disk_read(fd, p, n)
#define write(fd, p, n) disk_write(fd, p, n)
#define pread(fd, p, n, at) ((void)(fd), (void)(p), (ssize_t)0)
#define pwrite(fd, p, n, at) ((void)(fd), (ssize_t)(n))
#define ftruncate(fd, n) ((void)(fd), 0)
#define flock(fd, how) ((void)(fd), 0)
#define mmap(at, n, prot, flags, fd, off) disk_map(fd)
#define munmap(p, n) ((void)(p), 0)
#define DIR struct disk_dir
#define fdopendir(fd) disk_opendir(fd)
#define readdir(d) disk_readdir(d)
#define closedir(d) disk_closedir(d)
#define posix_fallocate(fd, at, n) disk_allocate(fd, n)
#define fdatasync(fd) disk_sync(fd)
#define fsync(fd) ((void)(fd), 0)
#define renameat(dir, from, to_dir, to) disk_rename(from, to_dir, to)
#define unlinkat(dir, name, flags) disk_unlink(dir, name)
#define fopen(path, mode) disk_boot_id()
#define getrandom(p, n, flags) disk_random(p, n)
#define fcntl(fd, what, arg) disk_dup(fd)
#endif
