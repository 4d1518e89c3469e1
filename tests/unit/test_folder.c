/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders: made, locked, listed; parts of files.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"
#include "os/folder.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

#define FOLDER "test_folder.dir"

struct seen {
    size_t n;
    uint64_t bytes;
    int64_t changed;
    size_t stop_at;
};

static enum ox_status see(void *user, const char *name, uint64_t bytes, int64_t changed, struct ox_error *err)
{
    struct seen *seen = user;
    seen->n++;
    seen->bytes += bytes;
    seen->changed = changed;
    return seen->n == seen->stop_at ? ox_error_set(err, OX_E_CANCELLED, "%s is enough", name) : OX_OK;
}

static void test_lock(void)
{
    struct ox_error err = {0};
    int lock = -1;
    int second = -1;
    OK(ox_folder_lock(FOLDER "/lock", &lock, &err) == OX_OK && lock >= 0, "locked");
    OK(ox_folder_lock(FOLDER "/lock", &second, &err) == OX_E_BUSY && second == -1, "not twice: %s", err.message);
    ox_folder_unlock(lock);
    OK(ox_folder_lock(FOLDER "/lock", &lock, &err) == OX_OK, "free again");
    ox_folder_unlock(lock);
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(ox_folder_lock(FOLDER "/lock", &lock, NULL) == OX_OK ? 0 : 1);
    }
    int status = 1;
    OK(waitpid(pid, &status, 0) == pid && status == 0 && ox_folder_lock(FOLDER "/lock", &lock, &err) == OX_OK,
       "a process that ends lets go");
    ox_folder_unlock(lock);
    OK(ox_folder_lock(FOLDER "/none/lock", &second, &err) == OX_E_IO, "no such folder: %s", err.message);
}

int main(void)
{
    struct ox_error err = {0};
    struct seen seen = {0};
    struct stat st;
    char part[8] = "";
    mk_remove_folder(FOLDER);
    OK(ox_folder_make(FOLDER, &err) == OX_OK && stat(FOLDER, &st) == 0 && (st.st_mode & 0077) == 0,
       "made, for its owner only");
    OK(ox_folder_make(FOLDER, &err) == OX_OK, "made again");
    OK(ox_folder_make(FOLDER "/a/b", &err) == OX_E_IO, "its parent is missing: %s", err.message);
    test_lock();
    OK(ox_file_write(FOLDER "/file", "0123456789", 10, &err) == OX_OK, "a file");
    OK(ox_folder_make(FOLDER "/file", &err) == OX_E_IO, "a file is no folder: %s", err.message);
    OK(ox_folder_list(FOLDER, see, &seen, &err) == OX_OK && seen.n == 2 && seen.bytes == 10, "two files, ten bytes");
    seen = (struct seen){.stop_at = 1};
    OK(ox_folder_list(FOLDER, see, &seen, &err) == OX_E_CANCELLED && seen.n == 1, "stopped: %s", err.message);
    OK(ox_folder_list(FOLDER "/none", see, &seen, &err) == OX_E_IO, "no such folder: %s", err.message);
    OK(ox_file_read_at(FOLDER "/file", 3, part, 4, &err) == OX_OK && memcmp(part, "3456", 4) == 0, "a part of a file");
    OK(ox_file_read_at(FOLDER "/file", 8, part, 4, &err) == OX_E_FORMAT, "beyond its end: %s", err.message);
    OK(ox_file_read_at(FOLDER, 0, part, 4, &err) == OX_E_IO, "of a folder: %s", err.message);
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    OK(utimensat(AT_FDCWD, FOLDER "/file", old, 0) == 0 && stat(FOLDER "/file", &st) == 0 && st.st_mtim.tv_sec == 1000,
       "an old file");
    ox_file_touch(FOLDER "/file");
    OK(stat(FOLDER "/file", &st) == 0 && st.st_mtim.tv_sec > 1000, "changed now");
    ox_file_remove(FOLDER "/file");
    OK(stat(FOLDER "/file", &st) != 0, "gone");
    OK(ox_folder_free_bytes(FOLDER) > 0 && ox_folder_free_bytes(FOLDER "/none") == 0, "free bytes");
    mk_remove_folder(FOLDER);
    return tap_done();
}
