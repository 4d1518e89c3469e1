/* SPDX-License-Identifier: Apache-2.0
 *
 * Orientation in JPEG, PNG and WebP files, made by hand in both byte orders; and that no shortened or damaged file is
 * read beyond its end (a copy of exactly its size, under AddressSanitizer; a guard page elsewhere).
 */
#include "media/helper/exif.h"

#include "base/buf.h"
#include "base/rng.h"
#include "tests/guard.h"
#include "tests/tap.h"

enum container { JPEG, PNG, WEBP, N_CONTAINERS };

static void add_number(struct ox_buf *buf, uint32_t value, size_t n, bool little)
{
    for (size_t i = 0; i < n; i++) {
        ox_buf_add_byte(buf, (char)(unsigned char)(value >> (8 * (little ? i : n - 1 - i))));
    }
}

/* A TIFF of three entries, the second of them the orientation. */
static void add_tiff(struct ox_buf *buf, uint32_t orientation, bool little)
{
    ox_buf_add(buf, little ? "II*\0" : "MM\0*", 4);
    add_number(buf, 10, 4, little);
    add_number(buf, 0, 2, little); /* a hole */
    add_number(buf, 3, 2, little);
    for (uint32_t i = 0; i < 3; i++) {
        add_number(buf, 0x0111 + i, 2, little);
        add_number(buf, 3, 2, little);
        add_number(buf, 1, 4, little);
        add_number(buf, i == 1 ? orientation : 5, 2, little);
        add_number(buf, 0, 2, little);
    }
}

static void make_file(struct ox_buf *out, enum container container, uint32_t orientation, bool little)
{
    struct ox_buf tiff = {0};
    add_tiff(&tiff, orientation, little);
    const uint32_t len = (uint32_t)tiff.len;
    ox_buf_clear(out);
    switch (container) {
    case JPEG:
        ox_buf_add(out, "\xFF\xD8\xFF\xE0\x00\x04xy\xFF\xFF\xE1\x00\x04no\xFF\xE1", 17);
        add_number(out, len + 8, 2, false);
        ox_buf_add(out, "Exif\0\0", 6);
        ox_buf_add_str(out, ox_buf_str(&tiff));
        ox_buf_add(out, "\xFF\xDA\x00\x02zz\xFF\xD9", 8);
        break;
    case PNG:
        ox_buf_add(out, "\x89PNG\r\n\x1A\n", 8);
        ox_buf_add(out, "\0\0\0\3abcdXYZ....", 15);
        add_number(out, len, 4, false);
        ox_buf_add_c(out, "eXIf");
        ox_buf_add_str(out, ox_buf_str(&tiff));
        ox_buf_add_c(out, "....");
        break;
    default:
        ox_buf_add(out, "RIFF\0\0\0\0WEBPVP8X\3\0\0\0abc.EXIF", 28);
        add_number(out, len, 4, true);
        ox_buf_add_str(out, ox_buf_str(&tiff));
        break;
    }
    ox_buf_fini(&tiff);
}

static enum ox_orientation orientation(const struct ox_buf *file)
{
    return ox_exif_orientation((const uint8_t *)file->ptr, file->len);
}

static void test_found(void)
{
    static const char *const names[] = {"JPEG", "PNG", "WebP"};
    struct ox_buf file = {0};
    for (size_t c = 0; c < N_CONTAINERS; c++) {
        bool all = true;
        for (uint32_t value = 0; value <= 9; value++) {
            const uint32_t expected = value >= 1 && value <= 8 ? value : OX_UPRIGHT;
            make_file(&file, (enum container)c, value, true);
            all = all && orientation(&file) == expected;
            make_file(&file, (enum container)c, value, false);
            all = all && orientation(&file) == expected;
        }
        OK(all, "%s: each orientation, both byte orders; 0 and 9 mean upright", names[c]);
    }
    make_file(&file, JPEG, 6, true);
    file.ptr[1] = '\xD9';
    IS_INT(orientation(&file), OX_UPRIGHT, "no JPEG");
    IS_INT(ox_exif_orientation(NULL, 0), OX_UPRIGHT, "nothing");
    ox_buf_clear(&file);
    ox_buf_add(&file, "\xFF\xD8\xFF\xDA\x00\x02\xFF\xE1", 8);
    add_number(&file, 58, 2, false);
    ox_buf_add(&file, "Exif\0\0", 6);
    add_tiff(&file, 6, true);
    IS_INT(orientation(&file), OX_UPRIGHT, "what stands behind the pixels does not count");
    ox_buf_fini(&file);
}

static void test_damaged(void)
{
    struct ox_buf file = {0};
    struct guard guard;
    struct ox_rng rng;
    bool good = true;
    ox_rng_init(&rng, 11);
    OK(guard_init(&guard, 4096), "a guard");
    for (size_t c = 0; c < N_CONTAINERS; c++) {
        make_file(&file, (enum container)c, 6, false);
        for (size_t len = 0; len <= file.len; len++) {
            uint8_t *cut = guard_take(&guard, len, true);
            memcpy(cut, file.ptr, len);
            const enum ox_orientation found = ox_exif_orientation(cut, len);
            good = good && (found == OX_UPRIGHT || found == OX_TURN_CLOCKWISE);
        }
        for (size_t i = 0; i < 20000; i++) {
            uint8_t *copy = guard_take(&guard, file.len, true);
            memcpy(copy, file.ptr, file.len);
            for (size_t j = 0; j <= i % 3; j++) {
                copy[ox_rng_below(&rng, file.len)] = (uint8_t)(i % 2 == 0 ? ox_rng_next(&rng) : 0xFF);
            }
            const enum ox_orientation found = ox_exif_orientation(copy, file.len);
            good = good && found >= OX_UPRIGHT && found <= OX_TURN_COUNTERCLOCKWISE;
        }
    }
    OK(good, "shortened and damaged files");
    guard_fini(&guard);
    ox_buf_fini(&file);
}

int main(void)
{
    test_found();
    test_damaged();
    return tap_done();
}
