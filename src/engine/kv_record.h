/* SPDX-License-Identifier: Apache-2.0
 *
 * How a KV block is kept in a file: a header that says what it is, then the block's bytes as they lie in memory. All
 * numbers are little-endian. The header (a multiple of 64 bytes):
 *
 *      0  "OXKVBLK\n"
 *      8  u32 version, 1               12  u32 bytes of the header
 *     16  identity [16]                what the bits depend on: model, KV format, CPU level, this program's version
 *     32  key [16], 48  parent [16]    hashes of the history with this block, and without it
 *     64  u32 tokens that a block has  68  u32 tokens that are there (fewer only at a session's end)
 *     72  u64 bytes of the block
 *     80  checksum [16] of those
 *     96  u64 words [tokens]           what the store knows the tokens by
 *    end - 16  hash [16] of the header before it
 *
 * Later versions of the format may put more between words and hash: a reader takes the header's length from it. What
 * cannot be left out by a reader of version 1 gets another version.
 */
#ifndef OX_ENGINE_KV_RECORD_H
#define OX_ENGINE_KV_RECORD_H

#include "base/hash.h"
#include "base/status.h"

struct ox_kv_record {
    struct ox_hash identity;
    struct ox_hash key;
    struct ox_hash parent;
    uint32_t block;    /* 1 to OX_KV_RECORD_MAX_BLOCK */
    uint32_t n_tokens; /* 1 to block */
    uint64_t payload_bytes;
    struct ox_hash payload_sum;
    size_t header_bytes;
    const uint8_t *words; /* [block] in the bytes that were parsed: see ox_kv_record_word */
};

#define OX_KV_RECORD_MAX_BLOCK 65536U
/* Enough for the header of any record. */
#define OX_KV_RECORD_MAX_HEADER ((size_t)1 << 20)
/* What must be read to know the header's length. */
#define OX_KV_RECORD_FIRST 16

/* Bytes of the header that ox_kv_record_write makes. */
size_t ox_kv_record_header_bytes(size_t block);

/* Make the header of record with these words [block]: header has ox_kv_record_header_bytes(block) bytes. header_bytes and
 * words of record are not looked at. */
void ox_kv_record_write(const struct ox_kv_record *record, const uint64_t *words, uint8_t *header);

/* Put the hash at the end of a header of len bytes that is complete otherwise: the last step of ox_kv_record_write, for
 * headers that have grown. */
void ox_kv_record_seal(uint8_t *header, size_t len);

/* The header's length from its first OX_KV_RECORD_FIRST bytes. OX_E_FORMAT if it is no record, of another version, or
 * longer than OX_KV_RECORD_MAX_HEADER. */
enum ox_status ox_kv_record_length(const uint8_t *bytes, size_t len, size_t *header_bytes,
                                   struct ox_error *err) OX_MUST_USE;

/* Read a whole header at the beginning of bytes. OX_E_FORMAT for anything that ox_kv_record_write cannot have made,
 * growth apart. */
enum ox_status ox_kv_record_parse(const uint8_t *bytes, size_t len, struct ox_kv_record *out,
                                  struct ox_error *err) OX_MUST_USE;

/* Token i's word. */
uint64_t ox_kv_record_word(const struct ox_kv_record *record, size_t i);

#endif
