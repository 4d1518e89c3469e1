/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing run of bytes. Appending never returns an error: a failed allocation marks the buffer, later appends do
 * nothing, and the one check at the end (ox_buf_failed) tells.
 */
#ifndef OX_BASE_BUF_H
#define OX_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/str.h"

/* All zero is a valid empty buffer. ptr holds len bytes and, if ptr is not NULL, a NUL behind them. */
struct ox_buf {
    char *ptr;
    size_t len;
    size_t cap;
    bool failed;
};

void ox_buf_init(struct ox_buf *buf);

/* Free the bytes; the buffer is empty and usable again. */
void ox_buf_fini(struct ox_buf *buf);

/* Forget the bytes but keep their memory. */
void ox_buf_clear(struct ox_buf *buf);

/* Append bytes (which must not lie in the buffer itself). */
void ox_buf_add(struct ox_buf *buf, const void *bytes, size_t len);
void ox_buf_add_str(struct ox_buf *buf, struct ox_str s);
void ox_buf_add_c(struct ox_buf *buf, const char *text);
void ox_buf_add_byte(struct ox_buf *buf, char byte);
void ox_buf_printf(struct ox_buf *buf, const char *format, ...) OX_PRINTF(2, 3);

/* Shorten to len bytes (no effect if it is shorter already). */
void ox_buf_cut(struct ox_buf *buf, size_t len);

/* The bytes so far; valid until the next append. */
static inline struct ox_str ox_buf_str(const struct ox_buf *buf)
{
    return ox_str_make(buf->ptr, buf->len);
}

/* The bytes so far with a NUL behind them, never NULL. */
static inline const char *ox_buf_text(const struct ox_buf *buf)
{
    return buf->ptr != NULL ? buf->ptr : "";
}

static inline bool ox_buf_failed(const struct ox_buf *buf)
{
    return buf->failed;
}

/* Hand the bytes (NUL behind them) to the caller, who frees them with ox_free; NULL if an append failed. The buffer is
 * empty afterwards. */
char *ox_buf_take(struct ox_buf *buf) OX_MUST_USE;

#endif
