/* SPDX-License-Identifier: Apache-2.0
 *
 * The header's bytes, field by field.
 */
#include "engine/kv_record.h"

#include <string.h>

#include "base/bytes.h"

#define VERSION 1U
#define WORDS_AT 96
#define HASH_BYTES 16

static const uint8_t magic[8] = {'O', 'X', 'K', 'V', 'B', 'L', 'K', '\n'};
/* Not a secret: the header's hash finds damage. */
static const struct ox_hash header_key = {{0x6F78636172742D6BU, 0x762D7265636F7264U}};

size_t ox_kv_record_header_bytes(size_t block)
{
    return (WORDS_AT + 8 * block + HASH_BYTES + 63) / 64 * 64;
}

void ox_kv_record_seal(uint8_t *header, size_t len)
{
    ox_bytes_put_hash(header + len - HASH_BYTES, ox_siphash(header_key, header, len - HASH_BYTES));
}

void ox_kv_record_write(const struct ox_kv_record *record, const uint64_t *words, uint8_t *header)
{
    const size_t len = ox_kv_record_header_bytes(record->block);
    memset(header, 0, len);
    memcpy(header, magic, sizeof magic);
    ox_bytes_put(header + 8, VERSION, 4);
    ox_bytes_put(header + 12, len, 4);
    ox_bytes_put_hash(header + 16, record->identity);
    ox_bytes_put_hash(header + 32, record->key);
    ox_bytes_put_hash(header + 48, record->parent);
    ox_bytes_put(header + 64, record->block, 4);
    ox_bytes_put(header + 68, record->n_tokens, 4);
    ox_bytes_put(header + 72, record->payload_bytes, 8);
    ox_bytes_put_hash(header + 80, record->payload_sum);
    for (size_t i = 0; i < record->block; i++) {
        ox_bytes_put(header + WORDS_AT + 8 * i, words[i], 8);
    }
    ox_kv_record_seal(header, len);
}

enum ox_status ox_kv_record_length(const uint8_t *bytes, size_t len, size_t *header_bytes, struct ox_error *err)
{
    if (len < OX_KV_RECORD_FIRST || memcmp(bytes, magic, sizeof magic) != 0) {
        return ox_error_set(err, OX_E_FORMAT, "KV record: it does not begin like one");
    }
    const uint64_t version = ox_bytes_get(bytes + 8, 4);
    if (version != VERSION) {
        return ox_error_set(err, OX_E_FORMAT, "KV record: expected version %u, found %llu", VERSION,
                            (unsigned long long)version);
    }
    const size_t n = (size_t)ox_bytes_get(bytes + 12, 4);
    if (n < ox_kv_record_header_bytes(1) || n > OX_KV_RECORD_MAX_HEADER || n % 64 != 0) {
        return ox_error_set(err, OX_E_FORMAT, "KV record: a header of %zu bytes makes no sense", n);
    }
    *header_bytes = n;
    return OX_OK;
}

enum ox_status ox_kv_record_parse(const uint8_t *bytes, size_t len, struct ox_kv_record *out, struct ox_error *err)
{
    struct ox_kv_record r;
    const enum ox_status status = ox_kv_record_length(bytes, len, &r.header_bytes, err);
    if (status != OX_OK) {
        return status;
    }
    if (r.header_bytes > len) {
        return ox_error_set(err, OX_E_FORMAT, "KV record: the header ends after %zu bytes, expected %zu", len,
                            r.header_bytes);
    }
    const size_t hashed = r.header_bytes - HASH_BYTES;
    if (!ox_hash_equal(ox_bytes_get_hash(bytes + hashed), ox_siphash(header_key, bytes, hashed))) {
        return ox_error_set(err, OX_E_FORMAT, "KV record: the header is damaged");
    }
    r.identity = ox_bytes_get_hash(bytes + 16);
    r.key = ox_bytes_get_hash(bytes + 32);
    r.parent = ox_bytes_get_hash(bytes + 48);
    r.block = (uint32_t)ox_bytes_get(bytes + 64, 4);
    r.n_tokens = (uint32_t)ox_bytes_get(bytes + 68, 4);
    r.payload_bytes = ox_bytes_get(bytes + 72, 8);
    r.payload_sum = ox_bytes_get_hash(bytes + 80);
    r.words = bytes + WORDS_AT;
    if (r.block == 0 || r.block > OX_KV_RECORD_MAX_BLOCK || r.n_tokens == 0 || r.n_tokens > r.block ||
        ox_kv_record_header_bytes(r.block) > r.header_bytes) {
        return ox_error_set(err, OX_E_FORMAT, "KV record: %u of %u tokens in a header of %zu bytes make no sense",
                            r.n_tokens, r.block, r.header_bytes);
    }
    *out = r;
    return OX_OK;
}

uint64_t ox_kv_record_word(const struct ox_kv_record *record, size_t i)
{
    return ox_bytes_get(record->words + 8 * i, 8);
}
