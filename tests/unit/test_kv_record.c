/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of KV records: written and read, grown, cut and damaged anywhere.
 */
#include "engine/kv_record.h"
#include "tests/tap.h"

#define BLOCK 7

static struct ox_kv_record make_record(void)
{
    const struct ox_kv_record record = {.identity = {{1, 2}},
                                        .key = {{3, 4}},
                                        .parent = {{5, 6}},
                                        .block = BLOCK,
                                        .n_tokens = 5,
                                        .payload_bytes = 1234,
                                        .payload_sum = {{7, 8}}};
    return record;
}

static void put_u32(uint8_t *p, uint32_t value)
{
    for (size_t i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
}

int main(void)
{
    const uint64_t words[BLOCK] = {1, 2, (uint64_t)1 << 63, UINT64_MAX, 5, 0, 0};
    const struct ox_kv_record record = make_record();
    const size_t len = ox_kv_record_header_bytes(BLOCK);
    static uint8_t bytes[1024];
    static uint8_t bad[1024];
    struct ox_kv_record found;
    struct ox_error err = {0};
    size_t n = 0;
    OK(len % 64 == 0 && len >= 112 + 8 * BLOCK && len + 64 <= sizeof bytes, "a header of %zu bytes", len);
    ox_kv_record_write(&record, words, bytes);
    OK(ox_kv_record_length(bytes, OX_KV_RECORD_FIRST, &n, &err) == OX_OK && n == len, "its length");
    OK(ox_kv_record_parse(bytes, len, &found, &err) == OX_OK && found.header_bytes == len &&
           ox_hash_equal(found.identity, record.identity) && ox_hash_equal(found.key, record.key) &&
           ox_hash_equal(found.parent, record.parent) && found.block == BLOCK && found.n_tokens == 5 &&
           found.payload_bytes == 1234 && ox_hash_equal(found.payload_sum, record.payload_sum),
       "read as written");
    bool same = true;
    for (size_t i = 0; i < BLOCK; i++) {
        same = same && ox_kv_record_word(&found, i) == words[i];
    }
    OK(same, "the words");

    size_t n_read = 0;
    for (size_t cut = 0; cut < len; cut++) {
        n_read += ox_kv_record_parse(bytes, cut, &found, &err) == OX_OK ? 1 : 0;
    }
    IS_INT(n_read, 0, "cut headers that are read");
    for (size_t bit = 0; bit < 8 * len; bit++) {
        memcpy(bad, bytes, len);
        bad[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        n_read += ox_kv_record_parse(bad, sizeof bad, &found, &err) == OX_OK ? 1 : 0;
    }
    IS_INT(n_read, 0, "headers with a wrong bit that are read");

    /* a later version has more before the hash */
    memcpy(bad, bytes, len);
    memset(bad + len - 16, 0xAB, 80);
    put_u32(bad + 12, (uint32_t)len + 64);
    ox_kv_record_seal(bad, len + 64);
    OK(ox_kv_record_parse(bad, sizeof bad, &found, &err) == OX_OK && found.header_bytes == len + 64 &&
           ox_kv_record_word(&found, 3) == UINT64_MAX,
       "a header that has grown");

    /* sealed, but senseless */
    static const struct {
        size_t at;
        uint32_t value;
        const char *what;
    } rows[] = {{8, 2, "another version"},
                {12, 64, "a header without words"},
                {12, 1, "an odd length"},
                {12, 1U << 24, "a huge header"},
                {64, 0, "no tokens in a block"},
                {64, 1U << 20, "more words than fit"},
                {68, 0, "no tokens"},
                {68, 8, "more tokens than fit"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memcpy(bad, bytes, len);
        put_u32(bad + rows[i].at, rows[i].value);
        ox_kv_record_seal(bad, len);
        OK(ox_kv_record_parse(bad, sizeof bad, &found, &err) == OX_E_FORMAT, "%s: %s", rows[i].what, err.message);
    }
    return tap_done();
}
