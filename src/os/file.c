/* SPDX-License-Identifier: Apache-2.0
 *
 * Files by descriptors: mappings for what is large, whole reads with a limit for what is small, and writes that are
 * whole or did not happen. Interrupted calls are repeated.
 */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "base/rng.h"

#define READ_CHUNK_BYTES ((size_t)1 << 16)
#define MINCORE_PAGES ((size_t)1 << 14)

static const char *kind_of(mode_t mode)
{
    if (S_ISDIR(mode)) {
        return "a folder";
    }
    if (S_ISFIFO(mode)) {
        return "a pipe";
    }
    if (S_ISSOCK(mode)) {
        return "a socket";
    }
    return "a device";
}

enum ox_status ox_map_open(const char *path, struct ox_map *out, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    struct stat st;
    /* O_NONBLOCK: a pipe without a writer is refused below instead of waited for. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be opened", path);
    }
    if (fstat(fd, &st) != 0) {
        status = ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be examined", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        status = ox_error_set(err, OX_E_IO, "%s: expected a regular file, found %s", path, kind_of(st.st_mode));
        goto out;
    }
    struct ox_map map = {NULL, (size_t)st.st_size};
    if (map.len > 0) {
        void *p = mmap(NULL, map.len, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED && errno == ENOMEM) {
            status = ox_error_set_errno(err, OX_E_NOMEM, errno,
                                        "%s: not enough memory: %.1f GiB of address space are missing to map it", path,
                                        (double)map.len / 1073741824.0);
            goto out;
        }
        if (p == MAP_FAILED) {
            status = ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be mapped (%zu bytes)", path, map.len);
            goto out;
        }
        map.ptr = p;
    }
    *out = map;
out:
    (void)close(fd);
    return status;
}

/* The mapping's address for calls that take it writable and do not write. */
static void *address(const struct ox_map *map, size_t offset)
{
    return (void *)((uintptr_t)map->ptr + offset);
}

void ox_map_close(struct ox_map *map)
{
    if (map->ptr != NULL) {
        (void)munmap(address(map, 0), map->len);
    }
    map->ptr = NULL;
    map->len = 0;
}

static size_t page_bytes(void)
{
    const long n = sysconf(_SC_PAGESIZE);
    return n > 0 ? (size_t)n : 4096;
}

void ox_map_advise_random(const struct ox_map *map)
{
    if (map->ptr != NULL) {
        (void)madvise(address(map, 0), map->len, MADV_RANDOM);
    }
}

void ox_map_advise_need(const struct ox_map *map, size_t offset, size_t len)
{
    if (map->ptr == NULL || offset >= map->len || len == 0) {
        return;
    }
    const size_t room = map->len - offset;
    const size_t before = offset % page_bytes();
    (void)madvise(address(map, offset - before), (len < room ? len : room) + before, MADV_WILLNEED);
}

uint64_t ox_map_resident_bytes(const struct ox_map *map)
{
    unsigned char resident[MINCORE_PAGES];
    const size_t page = page_bytes();
    uint64_t bytes = 0;
    for (size_t at = 0; at < map->len; at += MINCORE_PAGES * page) {
        const size_t left = map->len - at;
        const size_t len = left < MINCORE_PAGES * page ? left : MINCORE_PAGES * page;
        if (mincore(address(map, at), len, resident) != 0) {
            return 0;
        }
        for (size_t i = 0; i * page < len; i++) {
            const size_t rest = len - i * page;
            if ((resident[i] & 1U) != 0) {
                bytes += rest < page ? rest : page;
            }
        }
    }
    return bytes;
}

/* Read fd to its end. */
static enum ox_status read_all(int fd, const char *name, size_t max_bytes, struct ox_buf *out, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    char *chunk = ox_calloc(READ_CHUNK_BYTES, 1);
    if (chunk == NULL) {
        return ox_error_nomem(err, READ_CHUNK_BYTES);
    }
    for (;;) {
        const ssize_t got = read(fd, chunk, READ_CHUNK_BYTES);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            status = ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be read", name);
            goto out;
        }
        if (got == 0) {
            break;
        }
        if ((size_t)got > max_bytes - out->len) {
            status = ox_error_set(err, OX_E_LIMIT, "%s: expected at most %zu bytes, found more", name, max_bytes);
            goto out;
        }
        ox_buf_add(out, chunk, (size_t)got);
        if (ox_buf_failed(out)) {
            status = ox_error_nomem(err, out->len + (size_t)got);
            goto out;
        }
    }
out:
    ox_free(chunk);
    return status;
}

enum ox_status ox_file_read(const char *path, size_t max_bytes, struct ox_buf *out, struct ox_error *err)
{
    if (path[0] == '-' && path[1] == '\0') {
        return read_all(STDIN_FILENO, "standard input", max_bytes, out, err);
    }
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be opened", path);
    }
    const enum ox_status status = read_all(fd, path, max_bytes, out, err);
    (void)close(fd);
    return status;
}

/* A descriptor of the regular file, or -1. */
static int open_below(const char *folder, const char *name)
{
    const int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) {
        return -1;
    }
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd;
    do {
        /* EAGAIN: something was renamed on the way. */
        fd = (int)syscall(SYS_openat2, at, name, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    const int reason = errno;
    (void)close(at);
    errno = reason;
    struct stat st;
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        (void)close(fd);
        errno = ENOENT;
        return -1;
    }
    return fd;
}

enum ox_status ox_file_read_below(const char *folder, const char *name, size_t max_bytes, struct ox_buf *out,
                                  struct ox_error *err)
{
    const int fd = open_below(folder, name);
    if (fd < 0 && errno == ENOSYS) {
        return ox_error_set(err, OX_E_DEVICE, "this kernel cannot open files below a folder safely (no openat2)");
    }
    if (fd < 0) {
        return ox_error_set(err, OX_E_IO, "no such regular file below the folder");
    }
    struct ox_error reason = {0};
    const enum ox_status status = read_all(fd, "the file", max_bytes, out, &reason);
    (void)close(fd);
    if (status == OX_E_IO) {
        return ox_error_set(err, OX_E_IO, "no such regular file below the folder");
    }
    if (status != OX_OK && err != NULL) {
        *err = reason;
    }
    return status;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t put = write(fd, bytes, len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return -1;
        }
        bytes += put;
        len -= (size_t)put;
    }
    return 0;
}

static int write_parts(int fd, const struct ox_str *parts, size_t n_parts)
{
    for (size_t i = 0; i < n_parts; i++) {
        if (write_all(fd, parts[i].ptr, parts[i].len) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Write to what is there already and is no regular file (a pipe, a terminal): there is nothing to keep whole. */
static enum ox_status write_through(const char *path, const struct ox_str *parts, size_t n_parts, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be opened for writing", path);
    }
    if (write_parts(fd, parts, n_parts) != 0) {
        status = ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be written", path);
    }
    (void)close(fd);
    return status;
}

/* Make a new file with a name of its own beside target; its descriptor, or -1 with errno. */
static int open_beside(const char *target, mode_t mode, char *name, size_t room)
{
    for (int i = 0; i < 100; i++) {
        uint32_t number;
        if (ox_rng_secret(&number, sizeof number) != 0) {
            return -1;
        }
        const int n = snprintf(name, room, "%s.%08x.tmp", target, number);
        if (n < 0 || (size_t)n >= room) {
            errno = ENAMETOOLONG;
            return -1;
        }
        const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
    errno = EEXIST;
    return -1;
}

enum ox_status ox_file_write(const char *path, const void *bytes, size_t len, struct ox_error *err)
{
    const struct ox_str whole = ox_str_make(bytes, len);
    return ox_file_write_parts(path, &whole, 1, err);
}

enum ox_status ox_file_write_parts(const char *path, const struct ox_str *parts, size_t n_parts, struct ox_error *err)
{
    char target[PATH_MAX];
    char beside[PATH_MAX];
    struct stat st;
    const bool exists = stat(path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode)) {
        return write_through(path, parts, n_parts, err);
    }
    /* Behind a symbolic link it is the file that is replaced, not the link. */
    if (!exists || realpath(path, target) == NULL) {
        const int n = snprintf(target, sizeof target, "%s", path);
        if (n < 0 || (size_t)n >= sizeof target) {
            return ox_error_set_errno(err, OX_E_IO, ENAMETOOLONG, "%s: cannot be written", path);
        }
    }
    const int fd = open_beside(target, 0666, beside, sizeof beside);
    if (fd < 0) {
        return ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be written", path);
    }
    int fault = 0;
    if (exists && fchmod(fd, st.st_mode & 0777) != 0) {
        fault = errno;
    }
    if (fault == 0 && (write_parts(fd, parts, n_parts) != 0 || fsync(fd) != 0)) {
        fault = errno;
    }
    if (close(fd) != 0 && fault == 0) {
        fault = errno;
    }
    if (fault == 0 && rename(beside, target) != 0) {
        fault = errno;
    }
    if (fault != 0) {
        (void)unlink(beside);
        return ox_error_set_errno(err, OX_E_IO, fault, "%s: cannot be written", path);
    }
    return OX_OK;
}

bool ox_file_stamp(const char *path, struct ox_file_stamp *out)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    *out = (struct ox_file_stamp){.device = (uint64_t)st.st_dev,
                                  .inode = (uint64_t)st.st_ino,
                                  .len = (uint64_t)st.st_size,
                                  .written_s = (int64_t)st.st_mtim.tv_sec,
                                  .written_ns = (int64_t)st.st_mtim.tv_nsec};
    return true;
}

bool ox_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool ox_file_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *ox_path_join(const char *folder, const char *name)
{
    struct ox_buf path;
    ox_buf_init(&path);
    ox_buf_add_c(&path, folder);
    if (path.len > 0 && path.ptr[path.len - 1] != '/') {
        ox_buf_add_byte(&path, '/');
    }
    ox_buf_add_c(&path, name);
    return ox_buf_take(&path);
}
