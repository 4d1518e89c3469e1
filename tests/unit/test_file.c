/* SPDX-License-Identifier: Apache-2.0
 *
 * Mapping, reading and writing files: contents, limits, and a sentence for everything that is no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/file.h"
#include "tests/tap.h"

static char folder[] = "test_file.XXXXXX";

/* FOLDER/name; four names at a time. */
static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static bool holds(const char *path, const char *bytes, size_t len)
{
    struct ox_buf buf = {0};
    struct ox_error err = {0};
    const bool same = ox_file_read(path, 1 << 20, &buf, &err) == OX_OK && buf.len == len &&
                      (len == 0 || memcmp(buf.ptr, bytes, len) == 0);
    ox_buf_fini(&buf);
    return same;
}

static size_t n_entries(void)
{
    char command[128];
    size_t n = 0;
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL || fscanf(pipe, "%zu", &n) != 1) {
        n = SIZE_MAX;
    }
    if (pipe != NULL) {
        pclose(pipe);
    }
    return n;
}

static void test_write(void)
{
    struct ox_error err = {0};
    IS_INT(ox_file_write(in_folder("a"), "one\0two", 7, &err), OX_OK, "write a new file");
    OK(holds(in_folder("a"), "one\0two", 7), "its bytes, NUL included");
    IS_INT(ox_file_write(in_folder("a"), "", 0, &err), OX_OK, "overwrite it with nothing");
    OK(holds(in_folder("a"), "", 0), "it is empty");

    chmod(in_folder("a"), 0600);
    IS_INT(ox_file_write(in_folder("a"), "x", 1, &err), OX_OK, "overwrite a private file");
    struct stat st;
    OK(stat(in_folder("a"), &st) == 0 && (st.st_mode & 0777) == 0600, "it stays private");

    OK(symlink("a", in_folder("link")) == 0, "a symbolic link");
    IS_INT(ox_file_write(in_folder("link"), "through", 7, &err), OX_OK, "write through it");
    OK(holds(in_folder("a"), "through", 7), "the file behind it has the bytes");
    OK(lstat(in_folder("link"), &st) == 0 && S_ISLNK(st.st_mode), "it is still a link");
    IS_INT(n_entries(), 2, "no temporary file stays");

    IS_INT(ox_file_write(in_folder("no/such"), "x", 1, &err), OX_E_IO, "a folder that is not there");
    OK(strstr(err.message, "no/such: cannot be written: No such file") != NULL, "says so: %s", err.message);
    IS_INT(err.sys_errno, ENOENT, "keeps errno");
    IS_INT(ox_file_write(folder, "x", 1, &err), OX_E_IO, "a folder");
    IS_INT(ox_file_write("/dev/full", "x", 1, &err), OX_E_IO, "a full device");
    IS_INT(err.sys_errno, ENOSPC, "keeps errno");
    IS_INT(ox_file_write("/dev/null", "x", 1, &err), OX_OK, "a device is written, not replaced");
    OK(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode), "it is still a device");
    IS_INT(ox_file_write(in_folder("no/such"), "x", 1, NULL), OX_E_IO, "err may be NULL");
    unlink(in_folder("link"));
    unlink(in_folder("a"));
}

/* A write that fails half way leaves the old bytes: simulated with a limit on the size of files. */
static void test_write_whole(void)
{
    char command[256];
    struct ox_error err = {0};
    IS_INT(ox_file_write(in_folder("old"), "old", 3, &err), OX_OK, "an old file");
    chmod(folder, 0500);
    if (geteuid() != 0) {
        IS_INT(ox_file_write(in_folder("old"), "new", 3, &err), OX_E_IO, "a folder that may not be written");
    } else {
        OK(true, "a folder that may not be written: SKIP as root");
    }
    chmod(folder, 0700);
    OK(holds(in_folder("old"), "old", 3) || geteuid() == 0, "the old bytes are there");
    snprintf(command, sizeof command, "rm -f %s/old", folder);
    OK(system(command) == 0, "cleaned");
}

static void test_read(void)
{
    struct ox_buf buf = {0};
    struct ox_error err = {0};
    char *large = malloc(300000);
    for (size_t i = 0; i < 300000; i++) {
        large[i] = (char)(i * 31 + i / 256);
    }
    IS_INT(ox_file_write(in_folder("large"), large, 300000, &err), OX_OK, "write 300,000 bytes");
    IS_INT(ox_file_read(in_folder("large"), 300000, &buf, &err), OX_OK, "read exactly as many as allowed");
    OK(buf.len == 300000 && memcmp(buf.ptr, large, 300000) == 0 && buf.ptr[300000] == '\0', "the same bytes");
    ox_buf_fini(&buf);
    IS_INT(ox_file_read(in_folder("large"), 299999, &buf, &err), OX_E_LIMIT, "one byte less is too little");
    OK(strstr(err.message, "large: expected at most 299999 bytes, found more") != NULL, "says so: %s", err.message);
    ox_buf_fini(&buf);
    IS_INT(ox_file_read(in_folder("none"), 10, &buf, &err), OX_E_IO, "a file that is not there");
    OK(strstr(err.message, "none: cannot be opened: No such file") != NULL, "says so: %s", err.message);
    IS_INT(ox_file_read(folder, 10, &buf, &err), OX_E_IO, "a folder");
    IS_INT(err.sys_errno, EISDIR, "keeps errno");
    ox_buf_fini(&buf);

    const int saved = dup(STDIN_FILENO);
    const int fd = open(in_folder("large"), O_RDONLY);
    dup2(fd, STDIN_FILENO);
    IS_INT(ox_file_read("-", 1 << 20, &buf, &err), OX_OK, "standard input");
    OK(buf.len == 300000 && memcmp(buf.ptr, large, 300000) == 0, "its bytes");
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(fd);
    ox_buf_fini(&buf);
    free(large);
    unlink(in_folder("large"));
}

static void test_map(void)
{
    struct ox_map map = {0};
    struct ox_error err = {0};
    const size_t len = 3 * 4096 + 5;
    uint8_t *bytes = malloc(len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    IS_INT(ox_file_write(in_folder("m"), bytes, len, &err), OX_OK, "write a file");
    IS_INT(ox_map_open(in_folder("m"), &map, &err), OX_OK, "map it");
    OK(map.len == len && memcmp(map.ptr, bytes, len) == 0, "the same bytes");
    IS_INT(ox_map_resident_bytes(&map), len, "all of it is in the page cache, the last page counted by its bytes");
    ox_map_advise_random(&map);
    ox_map_advise_need(&map, 4097, 10);
    ox_map_advise_need(&map, len - 1, SIZE_MAX);
    ox_map_advise_need(&map, len, 1);
    OK(memcmp(map.ptr, bytes, len) == 0, "advice changes nothing");
    ox_map_close(&map);
    OK(map.ptr == NULL && map.len == 0, "closed");
    ox_map_close(&map);
    free(bytes);

    IS_INT(ox_file_write(in_folder("m"), "", 0, &err), OX_OK, "an empty file");
    IS_INT(ox_map_open(in_folder("m"), &map, &err), OX_OK, "can be mapped");
    OK(map.ptr == NULL && map.len == 0, "to nothing");
    IS_INT(ox_map_resident_bytes(&map), 0, "none of it is in memory");
    ox_map_advise_random(&map);
    ox_map_close(&map);
    unlink(in_folder("m"));
}

static void test_map_errors(void)
{
    struct ox_map map = {0};
    struct ox_error err = {0};
    IS_INT(ox_map_open(in_folder("none"), &map, &err), OX_E_IO, "a file that is not there");
    OK(strstr(err.message, "none: cannot be opened: No such file") != NULL, "says so: %s", err.message);
    IS_INT(ox_map_open(folder, &map, &err), OX_E_IO, "a folder");
    OK(strstr(err.message, "expected a regular file, found a folder") != NULL, "says so: %s", err.message);
    OK(mkfifo(in_folder("pipe"), 0600) == 0, "a pipe that nobody writes to");
    IS_INT(ox_map_open(in_folder("pipe"), &map, &err), OX_E_IO, "is refused at once");
    OK(strstr(err.message, "found a pipe") != NULL, "says so: %s", err.message);
    IS_INT(ox_map_open("/dev/null", &map, &err), OX_E_IO, "a device");
    OK(strstr(err.message, "found a device") != NULL, "says so: %s", err.message);
    OK(map.ptr == NULL && map.len == 0, "*out is untouched");
    unlink(in_folder("pipe"));
    if (geteuid() != 0) {
        IS_INT(ox_file_write(in_folder("secret"), "x", 1, &err), OX_OK, "a file without permission");
        chmod(in_folder("secret"), 0);
        IS_INT(ox_map_open(in_folder("secret"), &map, &err), OX_E_IO, "is refused");
        OK(strstr(err.message, "Permission denied") != NULL, "says so: %s", err.message);
        unlink(in_folder("secret"));
    }
}

static void test_names(void)
{
    OK(ox_file_exists(folder) && ox_file_is_folder(folder), "a folder exists and is one");
    OK(!ox_file_exists(in_folder("none")) && !ox_file_is_folder(in_folder("none")), "what is not there");
    OK(ox_file_exists("/dev/null") && !ox_file_is_folder("/dev/null"), "a device is no folder");
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}, {"a/b", "c/d", "a/b/c/d"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = ox_path_join(cases[i][0], cases[i][1]);
        IS_STR(path != NULL ? path : "(none)", cases[i][2], "a path");
        ox_free(path);
    }
}

/* Names that others chose; the ways out of the folder stand in test_media_source.c. */
static void test_below(void)
{
    struct ox_buf buf = {0};
    struct ox_error err = {0};
    IS_INT(ox_file_write(in_folder("below"), "12345", 5, NULL), OX_OK, "a file to read below the folder");
    enum ox_status status = ox_file_read_below(folder, "below", 5, &buf, &err);
    if (status == OX_E_DEVICE) {
        SKIP("files below a folder", err.message);
        return;
    }
    OK(status == OX_OK && strcmp(ox_buf_text(&buf), "12345") == 0, "a file of exactly the limit: %s", err.message);
    ox_buf_fini(&buf);
    IS_INT(ox_file_read_below(folder, "below", 4, &buf, &err), OX_E_LIMIT, "a larger file");
    ox_buf_fini(&buf);
    static const char *const names[] = {"", ".", "missing", "../test_file", "/etc/passwd", "below/x"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        status = ox_file_read_below(folder, names[i], 64, &buf, &err);
        OK(status == OX_E_IO && strcmp(err.message, "no such regular file below the folder") == 0 && err.sys_errno == 0,
           "\"%s\" is refused, and nothing more is told", names[i]);
    }
    IS_INT(ox_file_read_below(in_folder("none"), "below", 64, &buf, &err), OX_E_IO, "a folder that is not there");
    IS_INT(ox_file_read_below(in_folder("below"), "below", 64, &buf, NULL), OX_E_IO, "a folder that is a file");
    ox_buf_fini(&buf);
    (void)unlink(in_folder("below"));
}

int main(void)
{
    if (mkdtemp(folder) == NULL) {
        tap_skip_all("no folder to write to");
    }
    test_write();
    test_write_whole();
    test_read();
    test_map();
    test_map_errors();
    test_names();
    test_below();
    IS_INT(n_entries(), 0, "nothing is left behind");
    rmdir(folder);
    return tap_done();
}
