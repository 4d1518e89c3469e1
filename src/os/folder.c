/* SPDX-License-Identifier: Apache-2.0
 *
 * Thin over the kernel's calls. Interrupted ones are repeated.
 */
#include "os/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum ox_status ox_folder_make(const char *path, struct ox_error *err)
{
    struct stat st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return ox_error_set_errno(err, OX_E_IO, errno, "%s: the folder cannot be made", path);
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return ox_error_set(err, OX_E_IO, "%s: expected a folder", path);
    }
    return OX_OK;
}

enum ox_status ox_folder_lock(const char *path, int *lock, struct ox_error *err)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be opened", path);
    }
    int failed;
    do {
        failed = flock(fd, LOCK_EX | LOCK_NB);
    } while (failed != 0 && errno == EINTR);
    if (failed != 0) {
        const int fault = errno;
        (void)close(fd);
        return ox_error_set_errno(err, fault == EWOULDBLOCK ? OX_E_BUSY : OX_E_IO, fault,
                                  "%s: cannot be locked; only one process at a time may use this folder", path);
    }
    *lock = fd;
    return OX_OK;
}

void ox_folder_unlock(int lock)
{
    (void)close(lock);
}

enum ox_status ox_folder_list(const char *path,
                              enum ox_status (*each)(void *user, const char *name, uint64_t bytes, int64_t changed,
                                                     struct ox_error *err),
                              void *user, struct ox_error *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be opened", path);
    }
    enum ox_status status = OX_OK;
    for (const struct dirent *entry = readdir(folder); status == OX_OK && entry != NULL; entry = readdir(folder)) {
        struct stat st;
        if (fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
            const int64_t changed = (int64_t)st.st_mtim.tv_sec * 1000000000 + (int64_t)st.st_mtim.tv_nsec;
            status = each(user, entry->d_name, (uint64_t)st.st_size, changed, err);
        }
    }
    (void)closedir(folder);
    return status;
}

uint64_t ox_folder_free_bytes(const char *path)
{
    struct statvfs st;
    return statvfs(path, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize : 0;
}

enum ox_status ox_file_read_at(const char *path, uint64_t offset, void *bytes, size_t len, struct ox_error *err)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) {
        return ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be opened", path);
    }
    enum ox_status status = OX_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        status = ox_error_set(err, OX_E_IO, "%s: expected a regular file", path);
    }
    size_t done = 0;
    while (status == OX_OK && done < len) {
        const ssize_t got = pread(fd, (uint8_t *)bytes + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno != EINTR) {
            status = ox_error_set_errno(err, OX_E_IO, errno, "%s: cannot be read", path);
        } else if (got == 0) {
            status = ox_error_set(err, OX_E_FORMAT, "%s: ends after %llu bytes, expected %llu", path,
                                  (unsigned long long)(offset + done), (unsigned long long)(offset + len));
        } else if (got > 0) {
            done += (size_t)got;
        }
    }
    (void)close(fd);
    return status;
}

void ox_file_touch(const char *path)
{
    (void)utimensat(AT_FDCWD, path, NULL, 0);
}

void ox_file_remove(const char *path)
{
    (void)unlink(path);
}
