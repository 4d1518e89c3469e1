/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: mapped read-only, or read whole with a limit.
 */
#ifndef OX_OS_FILE_H
#define OX_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

/* A read-only mapping of a whole regular file; all zero is none. */
struct ox_map {
    const uint8_t *ptr; /* NULL for an empty file */
    size_t len;
};

/* Map path. OX_E_IO names the path and the reason (a folder, a pipe, no permission); OX_E_NOMEM: the address space has no
 * room for it. The file must not be shortened while it is mapped (the program turns the SIGBUS of that into a message). */
enum ox_status ox_map_open(const char *path, struct ox_map *out, struct ox_error *err) OX_MUST_USE;
void ox_map_close(struct ox_map *map);

/* Ask the kernel not to read ahead (experts are picked at random), or to read [offset, offset + len) soon. */
void ox_map_advise_random(const struct ox_map *map);
void ox_map_advise_need(const struct ox_map *map, size_t offset, size_t len);

/* Bytes of the mapping that are in the page cache now (mincore); 0 if unknown. */
uint64_t ox_map_resident_bytes(const struct ox_map *map);

/* Read the whole of path ("-" is standard input) into out (which must be empty); OX_E_LIMIT beyond max_bytes. */
enum ox_status ox_file_read(const char *path, size_t max_bytes, struct ox_buf *out, struct ox_error *err) OX_MUST_USE;

/* Read the whole regular file `name` below folder into out (which must be empty), for names that come from others: nothing
 * that name says leaves the folder, no symbolic link is followed (but in folder itself), and a pipe or device is not
 * waited for. OX_E_IO for whatever is not there, has another kind, or lies outside, always with the same sentence, which
 * tells nothing about it; OX_E_LIMIT beyond max_bytes; OX_E_DEVICE: this kernel has no openat2 (Linux 5.6). */
enum ox_status ox_file_read_below(const char *folder, const char *name, size_t max_bytes, struct ox_buf *out,
                                  struct ox_error *err) OX_MUST_USE;

/* Write bytes to path through a temporary file beside it and a rename, so that path is whole or unchanged. */
enum ox_status ox_file_write(const char *path, const void *bytes, size_t len, struct ox_error *err) OX_MUST_USE;

/* The same with the bytes in several pieces, one behind the other. */
enum ox_status ox_file_write_parts(const char *path, const struct ox_str *parts, size_t n_parts, struct ox_error *err)
    OX_MUST_USE;

/* What tells one state of a file from another: where it lies, how long it is, when it was last written. */
struct ox_file_stamp {
    uint64_t device;
    uint64_t inode;
    uint64_t len;
    int64_t written_s;
    int64_t written_ns;
};

/* False if there is no such file, or it is no regular one. */
bool ox_file_stamp(const char *path, struct ox_file_stamp *out);

bool ox_file_exists(const char *path);
bool ox_file_is_folder(const char *path);

/* FOLDER/NAME in a new string (ox_free), NULL when out of memory. */
char *ox_path_join(const char *folder, const char *name) OX_MUST_USE;

#endif
