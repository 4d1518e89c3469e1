/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash-2-4-128, and eight lanes of multiplications that are hashed together in the end. Input is read as
 * little-endian words, so that results are the same on every machine.
 */
#include "base/hash.h"

#include "base/bytes.h"

#define N_LANES 8

static uint64_t rotate(uint64_t x, unsigned n)
{
    return (x << n) | (x >> (64U - n));
}

/* Written out, so that compilers see one load. */
static uint64_t whole_word_at(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8U | (uint64_t)p[2] << 16U | (uint64_t)p[3] << 24U |
           (uint64_t)p[4] << 32U | (uint64_t)p[5] << 40U | (uint64_t)p[6] << 48U | (uint64_t)p[7] << 56U;
}

static void rounds(uint64_t v[4], int n)
{
    for (int i = 0; i < n; i++) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;
}

struct ox_hash ox_siphash(struct ox_hash key, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint64_t v[4] = {key.word[0] ^ 0x736F6D6570736575U, key.word[1] ^ 0x646F72616E646F6DU ^ 0xEEU,
                     key.word[0] ^ 0x6C7967656E657261U, key.word[1] ^ 0x7465646279746573U};
    size_t at = 0;
    for (; len - at >= 8; at += 8) {
        absorb(v, whole_word_at(p + at));
    }
    absorb(v, ox_bytes_get(p + at, len - at) | (uint64_t)len << 56U);
    struct ox_hash out;
    v[2] ^= 0xEEU;
    rounds(v, 4);
    out.word[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xDDU;
    rounds(v, 4);
    out.word[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
    return out;
}

struct ox_hash ox_checksum(const void *bytes, size_t len)
{
    static const struct ox_hash key = {{0x9E3779B97F4A7C15U, 0xD1B54A32D192ED03U}};
    const uint8_t *p = bytes;
    uint64_t lanes[N_LANES + 1];
    for (size_t i = 0; i < N_LANES; i++) {
        lanes[i] = 0xBF58476D1CE4E5B9U * (i + 1);
    }
    /* each step is a bijection of the lane, and of the word: one changed word always changes its lane */
    size_t at = 0;
    for (; len - at >= 8 * N_LANES; at += 8 * N_LANES) {
        for (size_t i = 0; i < N_LANES; i++) {
            lanes[i] = rotate(lanes[i] ^ whole_word_at(p + at + 8 * i), 29) * 0x94D049BB133111EBU;
        }
    }
    for (size_t i = 0; at < len; i++) {
        const size_t n = len - at < 8 ? len - at : 8;
        lanes[i] = rotate(lanes[i] ^ ox_bytes_get(p + at, n), 29) * 0x94D049BB133111EBU;
        at += n;
    }
    lanes[N_LANES] = len;
    uint8_t image[sizeof lanes];
    for (size_t i = 0; i <= N_LANES; i++) {
        ox_bytes_put(image + 8 * i, lanes[i], 8);
    }
    return ox_siphash(key, image, sizeof image);
}
