/* SPDX-License-Identifier: Apache-2.0
 *
 * A session in a file: what its owner wants to remember beside it, its tokens, the pictures that some of them stand for
 * (media_record.h), and the KV records (kv_record.h) of what was computed, the last one perhaps of a block that is not
 * full. All numbers are little-endian:
 *
 *      0  "OXSESSN\n"
 *      8  u32 version, 2               12  u32 bytes of this header, 128
 *     16  identity [16]                as in the records
 *     32  u64 bytes of the note        40  checksum [16] of it
 *     56  u64 tokens                   64  checksum [16] of their ids
 *     80  u64 tokens of these that were computed
 *     88  u64 bytes of the pictures    96  checksum [16] of them
 *    112  hash [16] of the header before it
 *    128  the note, ids (i32 each), pictures, records; each from a multiple of 64
 *
 * Keys of records begin with the identity; their words say what a picture shows, as those of the block store. Records that are damaged are left out with all that follows them: what they
 * held is computed again.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "engine/block_store.h"
#include "engine/media_record.h"
#include "engine/session.h"
#include "os/file.h"
#include "os/folder.h"

#define HEADER_BYTES 128
#define HASH_AT 112
#define VERSION 2U
#define MAX_NOTE_BYTES ((uint64_t)256 << 20)

static const uint8_t magic[8] = {'O', 'X', 'S', 'E', 'S', 'S', 'N', '\n'};
/* Not a secret: it finds damage. */
static const struct ox_hash header_key = {{0x6F78636172742D73U, 0x657373696F6E0001U}};

struct session_header {
    struct ox_hash identity;
    uint64_t note_bytes;
    struct ox_hash note_sum;
    uint64_t n_tokens;
    struct ox_hash ids_sum;
    uint64_t n_computed;
    uint64_t media_bytes;
    struct ox_hash media_sum;
};

static uint64_t round_up(uint64_t n)
{
    return (n + 63) / 64 * 64;
}

static void write_header(const struct session_header *header, uint8_t bytes[HEADER_BYTES])
{
    memset(bytes, 0, HEADER_BYTES);
    memcpy(bytes, magic, sizeof magic);
    ox_bytes_put(bytes + 8, VERSION, 4);
    ox_bytes_put(bytes + 12, HEADER_BYTES, 4);
    ox_bytes_put_hash(bytes + 16, header->identity);
    ox_bytes_put(bytes + 32, header->note_bytes, 8);
    ox_bytes_put_hash(bytes + 40, header->note_sum);
    ox_bytes_put(bytes + 56, header->n_tokens, 8);
    ox_bytes_put_hash(bytes + 64, header->ids_sum);
    ox_bytes_put(bytes + 80, header->n_computed, 8);
    ox_bytes_put(bytes + 88, header->media_bytes, 8);
    ox_bytes_put_hash(bytes + 96, header->media_sum);
    ox_bytes_put_hash(bytes + HASH_AT, ox_siphash(header_key, bytes, HASH_AT));
}

static enum ox_status read_header(const char *path, struct session_header *header, struct ox_error *err)
{
    uint8_t bytes[HEADER_BYTES];
    const enum ox_status status = ox_file_read_at(path, 0, bytes, sizeof bytes, err);
    if (status != OX_OK) {
        return status;
    }
    if (memcmp(bytes, magic, sizeof magic) != 0 || ox_bytes_get(bytes + 8, 4) != VERSION ||
        ox_bytes_get(bytes + 12, 4) != HEADER_BYTES ||
        !ox_hash_equal(ox_bytes_get_hash(bytes + HASH_AT), ox_siphash(header_key, bytes, HASH_AT))) {
        return ox_error_set(err, OX_E_FORMAT, "%s: no saved session of version %u, or damaged", path, VERSION);
    }
    header->identity = ox_bytes_get_hash(bytes + 16);
    header->note_bytes = ox_bytes_get(bytes + 32, 8);
    header->note_sum = ox_bytes_get_hash(bytes + 40);
    header->n_tokens = ox_bytes_get(bytes + 56, 8);
    header->ids_sum = ox_bytes_get_hash(bytes + 64);
    header->n_computed = ox_bytes_get(bytes + 80, 8);
    header->media_bytes = ox_bytes_get(bytes + 88, 8);
    header->media_sum = ox_bytes_get_hash(bytes + 96);
    struct ox_file_stamp stamp;
    const uint64_t file_bytes = ox_file_stamp(path, &stamp) ? stamp.len : 0;
    if (header->note_bytes > MAX_NOTE_BYTES || header->n_tokens > INT32_MAX || header->n_computed > header->n_tokens ||
        header->media_bytes > file_bytes) {
        return ox_error_set(err, OX_E_FORMAT, "%s: the sizes in it make no sense", path);
    }
    return OX_OK;
}

/* ---- the chain of blocks --------------------------------------------------------------------------------------- */

/* The records of a session, one after the other. */
struct chain {
    struct ox_kv_record record; /* of block b, but for sum */
    uint64_t *words;            /* [block] */
    size_t n_words;
    const struct ox_spans *spans;
    struct ox_hash *hashes; /* [spans->len] of what their pictures show */
};

static void chain_fini(struct chain *chain)
{
    ox_free(chain->words);
    ox_free(chain->hashes);
}

/* The chain's words will name the pictures of these spans, which are borrowed. */
static enum ox_status name_pictures(struct chain *chain, const struct ox_spans *spans, struct ox_error *err)
{
    ox_free(chain->hashes);
    chain->spans = spans;
    chain->hashes = ox_calloc(spans->len, sizeof *chain->hashes);
    if (chain->hashes == NULL) {
        return ox_error_nomem(err, spans->len * sizeof *chain->hashes);
    }
    for (size_t i = 0; i < spans->len; i++) {
        const bool again = i > 0 && spans->ptr[i].picture == spans->ptr[i - 1].picture; /* a clip has many spans */
        chain->hashes[i] =
            again ? chain->hashes[i - 1] : ox_picture_hash(spans->ptr[i].picture, chain->record.identity);
    }
    return OX_OK;
}

static uint64_t word_at(const struct chain *chain, size_t at, int32_t id)
{
    const struct ox_span *span = ox_spans_find(chain->spans, at);
    if (span == NULL) {
        return ox_block_word(id);
    }
    return ox_block_media_word(
        ox_picture_row_hash(chain->hashes[span - chain->spans->ptr], span->row + at - span->begin));
}

static enum ox_status begin_chain(const struct oxcart_session *session, struct chain *chain, struct ox_error *err)
{
    memset(chain, 0, sizeof *chain);
    chain->n_words = session->layout.block;
    chain->words = ox_calloc(chain->n_words, sizeof *chain->words);
    if (chain->words == NULL) {
        return ox_error_nomem(err, chain->n_words * sizeof *chain->words);
    }
    chain->record.identity = ox_engine_identity(session->engine, &session->layout);
    chain->record.key = chain->record.identity;
    chain->record.block = (uint32_t)chain->n_words;
    chain->record.payload_bytes = session->layout.block_bytes;
    return OX_OK;
}

/* Go on to block b of ids, n_computed of which are computed. */
static void next_block(struct chain *chain, const int32_t *ids, size_t n_computed, size_t b)
{
    const size_t first = b * chain->n_words;
    const size_t n = n_computed - first < chain->n_words ? n_computed - first : chain->n_words;
    memset(chain->words, 0, chain->n_words * sizeof *chain->words);
    for (size_t i = 0; i < n; i++) {
        chain->words[i] = word_at(chain, first + i, ids[first + i]);
    }
    chain->record.n_tokens = (uint32_t)n;
    chain->record.parent = chain->record.key;
    chain->record.key = ox_siphash(chain->record.parent, chain->words, chain->n_words * sizeof *chain->words);
}

/* ---- saving ---------------------------------------------------------------------------------------------------- */

/* Parts of the file that are no records. */
#define MORE_PARTS 7

/* What save allocates. */
struct saving {
    uint8_t header[HEADER_BYTES];
    uint8_t *ids;            /* little-endian */
    struct ox_buf media;
    uint8_t *record_headers; /* [n_blocks] */
    struct ox_str *parts;    /* [MORE_PARTS + 2 * n_blocks] */
    size_t n_parts;
};

static void add_part(struct saving *saving, const void *bytes, size_t len)
{
    saving->parts[saving->n_parts++] = ox_str_make(bytes, len);
}

static void add_records(const struct oxcart_session *session, struct chain *chain, struct saving *saving)
{
    const struct ox_kv *kv = &session->kv;
    const size_t header_bytes = ox_kv_record_header_bytes(chain->n_words);
    for (size_t b = 0; b * chain->n_words < kv->n_tokens; b++) {
        const uint8_t *payload = ox_kv_pool_bytes(session->pool, kv->block_ids[b]);
        uint8_t *header = saving->record_headers + b * header_bytes;
        next_block(chain, session->ids.ptr, kv->n_tokens, b);
        chain->record.payload_sum = ox_checksum(payload, session->layout.block_bytes);
        ox_kv_record_write(&chain->record, chain->words, header);
        add_part(saving, header, header_bytes);
        add_part(saving, payload, session->layout.block_bytes);
    }
}

static enum ox_status save(const struct oxcart_session *session, const char *path, const void *note, size_t note_bytes,
                           struct chain *chain, struct saving *saving, struct ox_error *err)
{
    static const uint8_t zeros[64];
    const size_t n_blocks = session->kv.n_blocks;
    const size_t n_ids = session->ids.len;
    saving->ids = ox_calloc(n_ids, sizeof(int32_t));
    saving->record_headers = ox_calloc(n_blocks, ox_kv_record_header_bytes(chain->n_words));
    saving->parts = ox_calloc(MORE_PARTS + 2 * n_blocks, sizeof *saving->parts);
    if (session->spans.len > 0) {
        ox_media_record_write(&session->spans, &saving->media);
    }
    if (saving->ids == NULL || saving->record_headers == NULL || saving->parts == NULL ||
        ox_buf_failed(&saving->media)) {
        return ox_error_nomem(err, n_ids * sizeof(int32_t));
    }
    const enum ox_status status = name_pictures(chain, &session->spans, err);
    if (status != OX_OK) {
        return status;
    }
    for (size_t i = 0; i < n_ids; i++) {
        ox_bytes_put(saving->ids + sizeof(int32_t) * i, (uint32_t)session->ids.ptr[i], sizeof(int32_t));
    }
    const struct session_header header = {.identity = chain->record.identity,
                                          .note_bytes = note_bytes,
                                          .note_sum = ox_checksum(note, note_bytes),
                                          .n_tokens = n_ids,
                                          .ids_sum = ox_checksum(saving->ids, n_ids * sizeof(int32_t)),
                                          .n_computed = session->kv.n_tokens,
                                          .media_bytes = saving->media.len,
                                          .media_sum = ox_checksum(saving->media.ptr, saving->media.len)};
    write_header(&header, saving->header);
    add_part(saving, saving->header, HEADER_BYTES);
    add_part(saving, note, note_bytes);
    add_part(saving, zeros, (size_t)round_up(note_bytes) - note_bytes);
    add_part(saving, saving->ids, n_ids * sizeof(int32_t));
    add_part(saving, zeros, (size_t)round_up(n_ids * sizeof(int32_t)) - n_ids * sizeof(int32_t));
    add_part(saving, saving->media.ptr, saving->media.len);
    add_part(saving, zeros, (size_t)round_up(saving->media.len) - saving->media.len);
    add_records(session, chain, saving);
    return ox_file_write_parts(path, saving->parts, saving->n_parts, err);
}

enum oxcart_status oxcart_session_save(const struct oxcart_session *session, const char *path, const void *note,
                                       size_t note_bytes, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct chain chain = {0};
    struct saving saving = {0};
    enum ox_status status = OX_OK;
    if (note_bytes > MAX_NOTE_BYTES) {
        status = ox_error_set(&inner, OX_E_LIMIT, "%s: a note of %zu bytes is too long", path, note_bytes);
    }
    if (status == OX_OK) {
        status = begin_chain(session, &chain, &inner);
    }
    if (status == OX_OK) {
        status = save(session, path, note, note_bytes, &chain, &saving, &inner);
    }
    chain_fini(&chain);
    ox_buf_fini(&saving.media);
    ox_free(saving.ids);
    ox_free(saving.record_headers);
    ox_free(saving.parts);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

/* ---- loading --------------------------------------------------------------------------------------------------- */

/* Read the note; a NUL behind it. */
static enum ox_status read_note(const char *path, const struct session_header *header, char **note,
                                struct ox_error *err)
{
    char *bytes = ox_calloc((size_t)header->note_bytes + 1, 1);
    if (bytes == NULL) {
        return ox_error_nomem(err, (size_t)header->note_bytes + 1);
    }
    enum ox_status status = ox_file_read_at(path, HEADER_BYTES, bytes, (size_t)header->note_bytes, err);
    if (status == OX_OK && !ox_hash_equal(ox_checksum(bytes, (size_t)header->note_bytes), header->note_sum)) {
        status = ox_error_set(err, OX_E_FORMAT, "%s: the note in it is damaged", path);
    }
    if (status != OX_OK) {
        ox_free(bytes);
        return status;
    }
    *note = bytes;
    return OX_OK;
}

/* Read the ids into *ids (which must be empty). */
static enum ox_status read_ids(const struct oxcart_session *session, const char *path,
                               const struct session_header *header, struct ox_ids *ids, struct ox_error *err)
{
    const size_t n = (size_t)header->n_tokens;
    if (n > session->n_ctx) {
        return ox_error_set(err, OX_E_STATE, "context full: %s has %zu tokens, the context %zu (ctx-size)", path, n,
                            session->n_ctx);
    }
    uint8_t *bytes = ox_calloc(n, sizeof(int32_t));
    if (bytes == NULL) {
        return ox_error_nomem(err, n * sizeof(int32_t));
    }
    const uint64_t at = HEADER_BYTES + round_up(header->note_bytes);
    enum ox_status status = ox_file_read_at(path, at, bytes, n * sizeof(int32_t), err);
    if (status == OX_OK && !ox_hash_equal(ox_checksum(bytes, n * sizeof(int32_t)), header->ids_sum)) {
        status = ox_error_set(err, OX_E_FORMAT, "%s: the tokens in it are damaged", path);
    }
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        const uint64_t id = ox_bytes_get(bytes + sizeof(int32_t) * i, sizeof(int32_t));
        if (id >= session->engine->config.vocab) {
            status = ox_error_set(err, OX_E_FORMAT, "%s: token %zu is no id of this model", path, i);
        } else if (ox_ids_add(ids, (int32_t)id) != 0) {
            status = ox_error_nomem(err, n * sizeof(int32_t));
        }
    }
    ox_free(bytes);
    return status;
}

/* Ids that stand for pictures or clips are those that have one of their kind. */
static enum ox_status check_places(const struct oxcart_engine *engine, const char *path, const struct ox_ids *ids,
                                   const struct ox_spans *spans, struct ox_error *err)
{
    const struct ox_config *config = &engine->config;
    const bool sees = engine->weights.vision.layers != NULL;
    struct ox_span_cursor cursor = {spans, 0};
    for (size_t i = 0; i < ids->len; i++) {
        const struct ox_span *span = ox_span_at(&cursor, i);
        const bool image = sees && ids->ptr[i] == config->image_token;
        const bool video = sees && ids->ptr[i] == config->video_token;
        const bool clip = span != NULL && span->picture->media.kind == OX_MEDIA_VIDEO;
        if (image != (span != NULL && !clip) || video != clip) {
            return ox_error_set(err, OX_E_FORMAT, "%s: token %zu and the pictures in it do not agree", path, i);
        }
    }
    return OX_OK;
}

/* Read the pictures into the session's, and which of ids stand for them into *spans (which must be empty). */
static enum ox_status read_media(struct oxcart_session *session, const char *path, const struct session_header *header,
                                 const struct ox_ids *ids, struct ox_spans *spans, struct ox_error *err)
{
    const size_t n = (size_t)header->media_bytes;
    const uint64_t at = HEADER_BYTES + round_up(header->note_bytes) + round_up(header->n_tokens * sizeof(int32_t));
    uint8_t *bytes = ox_calloc(n, 1);
    if (bytes == NULL) {
        return ox_error_nomem(err, n);
    }
    enum ox_status status = n > 0 ? ox_pictures_check(session->engine, err) : OX_OK;
    if (status == OX_OK) {
        status = ox_file_read_at(path, at, bytes, n, err);
    }
    if (status == OX_OK && !ox_hash_equal(ox_checksum(bytes, n), header->media_sum)) {
        status = ox_error_set(err, OX_E_FORMAT, "%s: the pictures in it are damaged", path);
    }
    if (status == OX_OK && n > 0) {
        status = ox_media_record_read(bytes, n, ids->len, &session->pictures, spans, err);
    }
    ox_free(bytes);
    return status == OX_OK ? check_places(session->engine, path, ids, spans, err) : status;
}

/* Read one record into block b of the timeline; false if it is not what it must be. */
static bool read_record(const struct oxcart_session *session, const char *path, uint64_t at, const struct chain *chain,
                        uint8_t *header, size_t b)
{
    struct ox_kv_record record;
    const size_t header_bytes = ox_kv_record_header_bytes(chain->n_words);
    uint8_t *payload = ox_kv_pool_bytes(session->pool, session->kv.block_ids[b]);
    const size_t payload_bytes = session->layout.block_bytes;
    if (ox_file_read_at(path, at, header, header_bytes, NULL) != OX_OK ||
        ox_kv_record_parse(header, header_bytes, &record, NULL) != OX_OK ||
        !ox_hash_equal(record.key, chain->record.key) || !ox_hash_equal(record.parent, chain->record.parent) ||
        record.block != chain->record.block || record.n_tokens != chain->record.n_tokens ||
        record.payload_bytes != payload_bytes) {
        return false;
    }
    for (size_t i = 0; i < chain->n_words; i++) {
        if (ox_kv_record_word(&record, i) != chain->words[i]) {
            return false;
        }
    }
    return ox_file_read_at(path, at + header_bytes, payload, payload_bytes, NULL) == OX_OK &&
           ox_hash_equal(ox_checksum(payload, payload_bytes), record.payload_sum);
}

/* Fill the (empty) timeline as far as records are good. */
static enum ox_status read_records(struct oxcart_session *session, const char *path,
                                   const struct session_header *header, struct chain *chain, struct ox_error *err)
{
    const size_t n_computed = (size_t)header->n_computed;
    const size_t header_bytes = ox_kv_record_header_bytes(chain->n_words);
    uint64_t at = HEADER_BYTES + round_up(header->note_bytes) + round_up(header->n_tokens * sizeof(int32_t)) +
                  round_up(header->media_bytes);
    enum ox_status status = ox_kv_reserve(&session->kv, n_computed, err);
    if (status != OX_OK) {
        return status;
    }
    status = name_pictures(chain, &session->spans, err);
    if (status != OX_OK) {
        return status;
    }
    uint8_t *bytes = ox_calloc(header_bytes, 1);
    if (bytes == NULL) {
        return ox_error_nomem(err, header_bytes);
    }
    size_t good = 0;
    for (size_t b = 0; b * chain->n_words < n_computed; b++) {
        next_block(chain, session->ids.ptr, n_computed, b);
        if (!read_record(session, path, at, chain, bytes, b)) {
            break;
        }
        good += chain->record.n_tokens;
        at += header_bytes + session->layout.block_bytes;
    }
    ox_free(bytes);
    session->kv.n_tokens = n_computed;
    ox_kv_rewind(&session->kv, good);
    return OX_OK;
}

static enum ox_status load(struct oxcart_session *session, const char *path, char **note, size_t *note_bytes,
                           struct ox_error *err)
{
    struct session_header header = {0};
    struct chain chain = {0};
    struct ox_ids ids = {0};
    struct ox_spans spans = {0};
    enum ox_status status = read_header(path, &header, err);
    if (status == OX_OK) {
        status = begin_chain(session, &chain, err);
    }
    const bool ours = status == OX_OK && ox_hash_equal(header.identity, chain.record.identity);
    if (ours) {
        status = read_ids(session, path, &header, &ids, err);
    }
    if (status == OX_OK && ours) {
        status = read_media(session, path, &header, &ids, &spans, err);
    }
    if (status == OX_OK && note != NULL) {
        status = read_note(path, &header, note, err);
        *note_bytes = (size_t)header.note_bytes;
    }
    if (status == OX_OK) {
        ox_ids_fini(&session->ids);
        session->ids = ids;
        ox_spans_fini(&session->spans);
        session->spans = spans;
        session->logits = NULL;
        session->chat = false;
        ox_kv_rewind(&session->kv, 0);
        ox_session_trim_pictures(session);
    } else {
        ox_ids_fini(&ids);
        ox_spans_fini(&spans);
    }
    if (status == OX_OK && ours) {
        /* without memory for reading them, they are computed again */
        (void)read_records(session, path, &header, &chain, NULL);
        session->n_cached = session->kv.n_tokens;
    }
    chain_fini(&chain);
    return status;
}

enum oxcart_status oxcart_session_load(struct oxcart_session *session, const char *path, char **note,
                                       size_t *note_bytes, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    const enum ox_status status = load(session, path, note, note_bytes, &inner);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}
