/* SPDX-License-Identifier: Apache-2.0
 *
 * The simplest writers that make valid files: PNG with stored blocks and GIF without packing by hand, JPEG and BMP by
 * stb_image_write.
 */
#include "tests/media_files.h"

#include <string.h>

#include "base/mem.h"

#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

#define STORED_BYTES ((size_t)65535)
#define GIF_COLOURS 216

uint8_t *media_picture(size_t height, size_t width)
{
    uint8_t *pixels = ox_calloc(height * width, 3);
    for (size_t y = 0; pixels != NULL && y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            uint8_t *p = pixels + (y * width + x) * 3;
            p[0] = (uint8_t)(x * 255 / width);
            p[1] = (uint8_t)(y * 255 / height);
            p[2] = x + y < (height + width) / 3 ? 230 : 40;
        }
    }
    return pixels;
}

static void add_big(struct ox_buf *out, uint32_t value, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        ox_buf_add_byte(out, (char)(unsigned char)(value >> (8 * i)));
    }
}

static void add_little(struct ox_buf *out, uint32_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ox_buf_add_byte(out, (char)(unsigned char)(value >> (8 * i)));
    }
}

/* ---- PNG ------------------------------------------------------------------------------------------------------------ */

static uint32_t crc_of(const char *bytes, size_t len)
{
    uint32_t crc = 0xFFFFFFFFU;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320U : 0);
        }
    }
    return ~crc;
}

static void add_chunk(struct ox_buf *out, const char *kind, const struct ox_buf *body)
{
    add_big(out, (uint32_t)body->len, 4);
    const size_t begin = out->len;
    ox_buf_add(out, kind, 4);
    ox_buf_add_str(out, ox_buf_str(body));
    add_big(out, crc_of(out->ptr + begin, out->len - begin), 4);
}

static void png_begin(struct ox_buf *out, size_t height, size_t width, int colour_type, int bits)
{
    struct ox_buf body = {0};
    ox_buf_clear(out);
    ox_buf_add(out, "\x89PNG\r\n\x1A\n", 8);
    add_big(&body, (uint32_t)width, 4);
    add_big(&body, (uint32_t)height, 4);
    ox_buf_add_byte(&body, (char)bits);
    ox_buf_add_byte(&body, (char)colour_type);
    ox_buf_add(&body, "\0\0\0", 3);
    add_chunk(out, "IHDR", &body);
    ox_buf_fini(&body);
}

static void png_end(struct ox_buf *out, const struct ox_buf *packed)
{
    const struct ox_buf nothing = {0};
    add_chunk(out, "IDAT", packed);
    add_chunk(out, "IEND", &nothing);
}

/* zlib's frame around stored blocks. */
static void zlib_store(struct ox_buf *out, const struct ox_buf *rows)
{
    uint32_t a = 1;
    uint32_t b = 0;
    ox_buf_add(out, "\x78\x01", 2);
    for (size_t at = 0; at < rows->len; at += STORED_BYTES) {
        const size_t left = rows->len - at;
        const uint32_t len = (uint32_t)(left < STORED_BYTES ? left : STORED_BYTES);
        ox_buf_add_byte(out, left <= STORED_BYTES);
        add_little(out, len, 2);
        add_little(out, ~len, 2);
        ox_buf_add(out, rows->ptr + at, len);
    }
    for (size_t i = 0; i < rows->len; i++) {
        a = (a + (unsigned char)rows->ptr[i]) % 65521;
        b = (b + a) % 65521;
    }
    add_big(out, b << 16 | a, 4);
}

void media_png(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width, int channels, int bits)
{
    static const int colour_types[] = {0, 0, 4, 2, 6};
    struct ox_buf rows = {0};
    struct ox_buf packed = {0};
    for (size_t i = 0; i < height * width; i++) {
        if (i % width == 0) {
            ox_buf_add_byte(&rows, 0); /* no filter */
        }
        for (int c = 0; c < channels; c++) {
            const bool alpha = channels % 2 == 0 && c == channels - 1;
            const size_t value = pixels[3 * i + (channels < 3 ? 0 : (size_t)c % 3)];
            ox_buf_add_byte(&rows, (char)(unsigned char)(alpha ? i % 256 : value));
            if (bits == 16) {
                ox_buf_add_byte(&rows, (char)(unsigned char)(i * 37));
            }
        }
    }
    zlib_store(&packed, &rows);
    png_begin(out, height, width, colour_types[channels], bits);
    png_end(out, &packed);
    ox_buf_fini(&rows);
    ox_buf_fini(&packed);
}

void media_png_bomb(struct ox_buf *out, size_t n_mib)
{
    /* Fixed codes: a zero byte, then copies of length 258 and distance 1, of 8 + 5 bits. */
    struct ox_buf packed = {0};
    uint64_t bits = 0;
    unsigned n_bits = 0;
    const size_t n_copies = (n_mib << 20) / 258;
    ox_buf_add(&packed, "\x78\x01", 2);
    bits = 3;                    /* last block, fixed codes */
    bits |= (uint64_t)0x0C << 3; /* literal 0: 00110000, its first bit lowest */
    n_bits = 11;
    for (size_t i = 0; i < n_copies; i++) {
        bits |= (uint64_t)0xA3 << n_bits; /* 285: 11000101, its first bit lowest; distance 1: 00000 */
        n_bits += 13;
        while (n_bits >= 8) {
            ox_buf_add_byte(&packed, (char)(unsigned char)bits);
            bits >>= 8;
            n_bits -= 8;
        }
    }
    ox_buf_add_byte(&packed, (char)(unsigned char)bits);
    ox_buf_add(&packed, "\0\0\0\0\0\0", 6);
    png_begin(out, 1, 1, 0, 8);
    png_end(out, &packed);
    ox_buf_fini(&packed);
}

void media_png_claim(struct ox_buf *out, uint32_t side)
{
    struct ox_buf packed = {0};
    const struct ox_buf nothing = {0};
    zlib_store(&packed, &nothing);
    png_begin(out, side, side, 2, 8);
    png_end(out, &packed);
    ox_buf_fini(&packed);
}

/* ---- JPEG, BMP ---------------------------------------------------------------------------------------------------- */

static void add_bytes(void *user, void *bytes, int len)
{
    ox_buf_add((struct ox_buf *)user, bytes, (size_t)len);
}

void media_jpeg(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width)
{
    ox_buf_clear(out);
    (void)stbi_write_jpg_to_func(add_bytes, out, (int)width, (int)height, 3, pixels, 90);
}

void media_jpeg_turn(struct ox_buf *jpeg, int orientation)
{
    struct ox_buf turned = {0};
    ox_buf_add(&turned,
               "\xFF\xD8\xFF\xE1\x00\x22"
               "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0",
               30);
    add_little(&turned, (uint32_t)orientation, 4);
    ox_buf_add(&turned, "\0\0\0\0", 4);
    ox_buf_add(&turned, jpeg->ptr + 2, jpeg->len - 2);
    ox_buf_clear(jpeg);
    ox_buf_add_str(jpeg, ox_buf_str(&turned));
    ox_buf_fini(&turned);
}

void media_bmp(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width)
{
    ox_buf_clear(out);
    (void)stbi_write_bmp_to_func(add_bytes, out, (int)width, (int)height, 3, pixels);
}

void media_bmp_palette(struct ox_buf *out, size_t height, size_t width, int bits, size_t n_colours)
{
    const size_t row_bytes = (width * (size_t)bits + 31) / 32 * 4;
    const size_t begin = 14 + 40 + 4 * n_colours;
    ox_buf_clear(out);
    ox_buf_add(out, "BM", 2);
    add_little(out, (uint32_t)(begin + height * row_bytes), 4);
    add_little(out, 0, 4);
    add_little(out, (uint32_t)begin, 4);
    add_little(out, 40, 4);
    add_little(out, (uint32_t)width, 4);
    add_little(out, (uint32_t)height, 4);
    add_little(out, 1, 2);
    add_little(out, (uint32_t)bits, 2);
    for (size_t i = 0; i < 4; i++) { /* not packed; sizes that nobody reads */
        add_little(out, 0, 4);
    }
    add_little(out, (uint32_t)n_colours, 4);
    add_little(out, 0, 4);
    for (size_t i = 0; i < n_colours; i++) {
        add_little(out, (uint32_t)(0x102030 + i * 0x010307), 4);
    }
    for (size_t i = 0; i < height * row_bytes; i++) {
        ox_buf_add_byte(out, (char)(unsigned char)(i * 37));
    }
}

/* ---- GIF -------------------------------------------------------------------------------------------------------- */

void media_gif(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width)
{
    struct ox_buf codes = {0};
    uint32_t bits = 0;
    unsigned n_bits = 0;
    /* Nine-bit codes; a "clear" every 100 of them, before the decoder would want ten bits. */
    for (size_t i = 0; i <= height * width; i++) {
        const uint8_t *p = pixels + 3 * i;
        if (i % 100 == 0) {
            bits |= 256U << n_bits;
            n_bits += 9;
        }
        const unsigned code = i < height * width ? p[0] / 51U * 36U + p[1] / 51U * 6U + p[2] / 51U : 257U;
        bits |= code << n_bits;
        n_bits += 9;
        while (n_bits >= 8) {
            ox_buf_add_byte(&codes, (char)(unsigned char)bits);
            bits >>= 8;
            n_bits -= 8;
        }
    }
    ox_buf_add_byte(&codes, (char)(unsigned char)bits);
    ox_buf_clear(out);
    ox_buf_add_c(out, "GIF89a");
    add_little(out, (uint32_t)width, 2);
    add_little(out, (uint32_t)height, 2);
    ox_buf_add(out, "\xF7\0\0", 3);
    for (unsigned i = 0; i < 256; i++) {
        const unsigned colour = i < GIF_COLOURS ? i : 0;
        ox_buf_add_byte(out, (char)(unsigned char)(colour / 36 * 51));
        ox_buf_add_byte(out, (char)(unsigned char)(colour / 6 % 6 * 51));
        ox_buf_add_byte(out, (char)(unsigned char)(colour % 6 * 51));
    }
    ox_buf_add(out, ",\0\0\0\0", 5);
    add_little(out, (uint32_t)width, 2);
    add_little(out, (uint32_t)height, 2);
    ox_buf_add(out, "\0\x08", 2);
    for (size_t at = 0; at < codes.len; at += 255) {
        const size_t len = codes.len - at < 255 ? codes.len - at : 255;
        ox_buf_add_byte(out, (char)(unsigned char)len);
        ox_buf_add(out, codes.ptr + at, len);
    }
    ox_buf_add(out, "\0;", 2);
    ox_buf_fini(&codes);
}
