/* SPDX-License-Identifier: Apache-2.0
 *
 * EXIF is a TIFF file in a chunk of another: the chunk is found by walking the segments of JPEG (APP1), the chunks of
 * PNG (eXIf) or of RIFF (EXIF); of the TIFF only the first directory's entry 0x0112 is read. Whatever does not fit ends
 * the walk.
 */
#include "media/helper/exif.h"

#include <stdbool.h>
#include <string.h>

#include "base/str.h"

#define TAG_ORIENTATION 0x0112U
#define TYPE_SHORT 3U
#define ENTRY_BYTES ((size_t)12)

static const struct ox_str none = {NULL, 0};

static unsigned byte_at(struct ox_str s, size_t i)
{
    return (unsigned char)s.ptr[i];
}

/* n bytes at i as a number. */
static uint32_t number_at(struct ox_str s, size_t i, size_t n, bool little)
{
    uint32_t value = 0;
    for (size_t j = 0; j < n; j++) {
        const size_t place = little ? n - 1 - j : j;
        value = value << 8 | byte_at(s, i + place);
    }
    return value;
}

/* s from i on, at most n bytes of it. */
static struct ox_str part(struct ox_str s, size_t i, size_t n)
{
    if (i >= s.len) {
        return none;
    }
    return ox_str_make(s.ptr + i, s.len - i < n ? s.len - i : n);
}

static bool starts(struct ox_str s, const char *bytes, size_t n)
{
    return ox_str_starts(s, ox_str_make(bytes, n));
}

static struct ox_str find_in_jpeg(struct ox_str file)
{
    size_t at = 2;
    while (at < file.len && file.len - at >= 4 && byte_at(file, at) == 0xFF) {
        const unsigned marker = byte_at(file, at + 1);
        if (marker == 0xFF) { /* fill bytes */
            at++;
            continue;
        }
        if (marker == 0xDA || marker == 0xD9) { /* pixels, or the end */
            break;
        }
        const size_t len = number_at(file, at + 2, 2, false);
        const struct ox_str body = part(file, at + 4, len >= 2 ? len - 2 : 0);
        if (marker == 0xE1 && starts(body, "Exif\0\0", 6)) {
            return part(body, 6, body.len);
        }
        at += 2 + (len >= 2 ? len : 2);
    }
    return none;
}

static struct ox_str find_in_png(struct ox_str file)
{
    size_t at = 8;
    while (at < file.len && file.len - at >= 12) {
        const size_t len = number_at(file, at, 4, false);
        if (starts(part(file, at + 4, 4), "eXIf", 4)) {
            return part(file, at + 8, len);
        }
        if (len > file.len) {
            break;
        }
        at += 12 + len;
    }
    return none;
}

static struct ox_str find_in_webp(struct ox_str file)
{
    size_t at = 12;
    while (at < file.len && file.len - at >= 8) {
        const size_t len = number_at(file, at + 4, 4, true);
        if (starts(part(file, at, 4), "EXIF", 4)) {
            const struct ox_str body = part(file, at + 8, len);
            return starts(body, "Exif\0\0", 6) ? part(body, 6, body.len) : body;
        }
        if (len > file.len) {
            break;
        }
        at += 8 + len + len % 2;
    }
    return none;
}

static enum ox_orientation read_tiff(struct ox_str tiff)
{
    const bool little = starts(tiff, "II*\0", 4);
    if (tiff.len < 8 || (!little && !starts(tiff, "MM\0*", 4))) {
        return OX_UPRIGHT;
    }
    const struct ox_str directory = part(tiff, number_at(tiff, 4, 4, little), tiff.len);
    const size_t n = directory.len >= 2 ? number_at(directory, 0, 2, little) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct ox_str entry = part(directory, 2 + i * ENTRY_BYTES, ENTRY_BYTES);
        if (entry.len < ENTRY_BYTES) {
            break;
        }
        if (number_at(entry, 0, 2, little) == TAG_ORIENTATION && number_at(entry, 2, 2, little) == TYPE_SHORT) {
            const uint32_t value = number_at(entry, 8, 2, little);
            return value >= OX_UPRIGHT && value <= OX_TURN_COUNTERCLOCKWISE ? (enum ox_orientation)value : OX_UPRIGHT;
        }
    }
    return OX_UPRIGHT;
}

enum ox_orientation ox_exif_orientation(const uint8_t *file, size_t len)
{
    const struct ox_str s = ox_str_make((const char *)file, len);
    struct ox_str tiff = none;
    if (starts(s, "\xFF\xD8", 2)) {
        tiff = find_in_jpeg(s);
    } else if (starts(s, "\x89PNG\r\n\x1A\n", 8)) {
        tiff = find_in_png(s);
    } else if (starts(s, "RIFF", 4) && starts(part(s, 8, 4), "WEBP", 4)) {
        tiff = find_in_webp(s);
    }
    return read_tiff(tiff);
}
