/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing run of bytes with one sticky failure mark.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/ckd.h"
#include "base/mem.h"

void ox_buf_init(struct ox_buf *buf)
{
    memset(buf, 0, sizeof *buf);
}

void ox_buf_fini(struct ox_buf *buf)
{
    ox_free(buf->ptr);
    ox_buf_init(buf);
}

void ox_buf_clear(struct ox_buf *buf)
{
    ox_buf_cut(buf, 0);
    buf->failed = false;
}

/* Make room for `more` bytes and a NUL; false (and the mark set) if there is none. */
static bool reserve(struct ox_buf *buf, size_t more)
{
    size_t need;
    if (buf->failed) {
        return false;
    }
    if (ox_ckd_add(&need, buf->len, more) || ox_ckd_add(&need, need, 1)) {
        buf->failed = true;
        return false;
    }
    void *p = buf->ptr;
    if (ox_grow(&p, &buf->cap, need, 1) != 0) {
        buf->failed = true;
        return false;
    }
    buf->ptr = p;
    return true;
}

void ox_buf_add(struct ox_buf *buf, const void *bytes, size_t len)
{
    if (!reserve(buf, len)) {
        return;
    }
    if (len > 0) {
        memcpy(buf->ptr + buf->len, bytes, len);
    }
    buf->len += len;
    buf->ptr[buf->len] = '\0';
}

void ox_buf_add_str(struct ox_buf *buf, struct ox_str s)
{
    ox_buf_add(buf, s.ptr, s.len);
}

void ox_buf_add_c(struct ox_buf *buf, const char *text)
{
    ox_buf_add(buf, text, strlen(text));
}

void ox_buf_add_byte(struct ox_buf *buf, char byte)
{
    ox_buf_add(buf, &byte, 1);
}

void ox_buf_printf(struct ox_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        buf->failed = true;
        return;
    }
    if (!reserve(buf, (size_t)len)) {
        return;
    }
    va_start(args, format);
    vsnprintf(buf->ptr + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void ox_buf_cut(struct ox_buf *buf, size_t len)
{
    if (len < buf->len) {
        buf->len = len;
        buf->ptr[len] = '\0';
    }
}

char *ox_buf_take(struct ox_buf *buf)
{
    if (!reserve(buf, 0)) {
        ox_buf_fini(buf);
        return NULL;
    }
    buf->ptr[buf->len] = '\0';
    char *taken = buf->ptr;
    ox_buf_init(buf);
    return taken;
}
