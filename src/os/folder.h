/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders that this program keeps files in: made, locked, listed, and single files of them read, touched and removed.
 */
#ifndef OX_OS_FOLDER_H
#define OX_OS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Make path, readable by its owner only, unless it is a folder already; its parent must be there. */
enum ox_status ox_folder_make(const char *path, struct ox_error *err) OX_MUST_USE;

/* Lock the file at path (made if missing) for this process, until ox_folder_unlock or its end. OX_E_BUSY if another
 * process has it. */
enum ox_status ox_folder_lock(const char *path, int *lock, struct ox_error *err) OX_MUST_USE;
void ox_folder_unlock(int lock);

/* Call each(user, name, bytes, changed) for every regular file of the folder, in no order; changed: nanoseconds since
 * some moment. A status other than OX_OK from it ends the listing and is returned. */
enum ox_status ox_folder_list(const char *path,
                              enum ox_status (*each)(void *user, const char *name, uint64_t bytes, int64_t changed,
                                                     struct ox_error *err),
                              void *user, struct ox_error *err) OX_MUST_USE;

/* Bytes that this user can still write there; 0 if unknown. */
uint64_t ox_folder_free_bytes(const char *path);

/* Read len bytes at offset of the regular file at path; OX_E_FORMAT if it ends before. */
enum ox_status ox_file_read_at(const char *path, uint64_t offset, void *bytes, size_t len,
                               struct ox_error *err) OX_MUST_USE;

/* Say that it was changed now; remove it. What fails is not told: both are advice. */
void ox_file_touch(const char *path);
void ox_file_remove(const char *path);

#endif
