/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes: SipHash against its authors' vectors, and what the checksum promises to find.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "tests/tap.h"

/* From the reference implementation's vectors_sip128: key 00 to 0f, input 00, 01, 02 and so on. */
static void test_vectors(void)
{
    static const struct {
        size_t len;
        uint8_t out[16];
    } rows[] = {
        {0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
        {1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
        {2, {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff, 0xe4}},
    };
    const struct ox_hash key = {{0x0706050403020100U, 0x0F0E0D0C0B0A0908U}};
    const uint8_t input[] = {0, 1, 2};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ox_hash hash = ox_siphash(key, input, rows[i].len);
        bool same = true;
        for (size_t b = 0; b < 16; b++) {
            same = same && (uint8_t)(hash.word[b / 8] >> (8 * (b % 8))) == rows[i].out[b];
        }
        OK(same, "vector of %zu bytes", rows[i].len);
    }
}

static void test_differ(void)
{
    uint8_t bytes[200];
    struct ox_rng rng;
    ox_rng_init(&rng, 5);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)ox_rng_next(&rng);
    }
    size_t n_missed = 0;
    size_t n_same_key = 0;
    for (size_t len = 0; len <= sizeof bytes; len++) {
        const struct ox_hash sum = ox_checksum(bytes, len);
        const struct ox_hash hash = ox_siphash(sum, bytes, len);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            n_missed += ox_hash_equal(sum, ox_checksum(bytes, len)) ? 1 : 0;
            n_missed += ox_hash_equal(hash, ox_siphash(sum, bytes, len)) ? 1 : 0;
            bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        }
        n_missed += len > 0 && ox_hash_equal(sum, ox_checksum(bytes, len - 1)) ? 1 : 0;
        const struct ox_hash other = {{sum.word[0] ^ 1, sum.word[1]}};
        n_same_key += ox_hash_equal(hash, ox_siphash(other, bytes, len)) ? 1 : 0;
    }
    IS_INT(n_missed, 0, "single bits and lengths that change nothing");
    IS_INT(n_same_key, 0, "keys that change nothing");
    memset(bytes, 0, sizeof bytes);
    OK(!ox_hash_equal(ox_checksum(bytes, 64), ox_checksum(bytes, 128)), "zeros are counted");
    memcpy(bytes, "one ", 4);
    memcpy(bytes + 64, "two ", 4);
    const struct ox_hash before = ox_checksum(bytes, 128);
    memcpy(bytes, "two ", 4);
    memcpy(bytes + 64, "one ", 4);
    OK(!ox_hash_equal(before, ox_checksum(bytes, 128)), "what changes places is seen");
}

int main(void)
{
    test_vectors();
    test_differ();
    return tap_done();
}
