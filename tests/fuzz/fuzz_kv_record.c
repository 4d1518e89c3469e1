/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of KV records: as they come, and with the hash put right, so that what stands behind it is reached. What is
 * read, written again, is read the same.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/kv_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *bytes, size_t len)
{
    struct ox_kv_record record;
    struct ox_kv_record again;
    struct ox_error err = {0};
    const enum ox_status status = ox_kv_record_parse(bytes, len, &record, &err);
    OX_CHECK(status == OX_OK || (status == OX_E_FORMAT && err.message[0] != '\0'));
    if (status != OX_OK) {
        return;
    }
    OX_CHECK(record.header_bytes <= len && ox_kv_record_header_bytes(record.block) <= record.header_bytes);
    uint64_t *words = ox_calloc(record.block, sizeof *words);
    uint8_t *copy = ox_calloc(ox_kv_record_header_bytes(record.block), 1);
    OX_CHECK(words != NULL && copy != NULL);
    for (size_t i = 0; i < record.block; i++) {
        words[i] = ox_kv_record_word(&record, i);
    }
    ox_kv_record_write(&record, words, copy);
    OX_CHECK(ox_kv_record_parse(copy, ox_kv_record_header_bytes(record.block), &again, &err) == OX_OK);
    OX_CHECK(ox_hash_equal(again.key, record.key) && ox_hash_equal(again.parent, record.parent) &&
             ox_hash_equal(again.identity, record.identity) && again.n_tokens == record.n_tokens &&
             again.payload_bytes == record.payload_bytes && ox_hash_equal(again.payload_sum, record.payload_sum));
    for (size_t i = 0; i < record.block; i++) {
        OX_CHECK(ox_kv_record_word(&again, i) == words[i]);
    }
    ox_free(words);
    ox_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = 0;
    check(data, size);
    if (ox_kv_record_length(data, size, &len, NULL) == OX_OK && len <= size) {
        uint8_t *sealed = ox_calloc(size, 1);
        OX_CHECK(sealed != NULL);
        memcpy(sealed, data, size);
        ox_kv_record_seal(sealed, len);
        check(sealed, size);
        ox_free(sealed);
    }
    return 0;
}
