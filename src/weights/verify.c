/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a checkpoint's data from end to end and finds values that no model can compute with. Blocks of fixed size are
 * tested as a whole, in loops that compilers turn into vector code; only in a block with a bad value are elements looked
 * at one by one.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/compiler.h"
#include "weights/checkpoint.h"

#define BLOCK ((size_t)4096)          /* elements tested together */
#define STEP_BYTES ((size_t)32 << 20) /* between two progress reports; what is read ahead */
#define AHEAD_BYTES ((size_t)1 << 20) /* smaller tensors are left to the kernel's own reading ahead */
#define SCALE_NAN 255U
#define SCALE_MAX 246U /* 448 * 2^(246 - 127) is the last that F32 holds */

enum fault { FAULT_NONE, FAULT_NAN, FAULT_RANGE };

/* How one kind of element is tested. */
struct kind {
    size_t bytes;
    bool (*any)(const uint8_t *p);            /* is there a fault among BLOCK elements? */
    enum fault (*classify)(const uint8_t *p); /* the fault of one element */
};

struct finding {
    size_t n_nan;
    size_t n_range;
    size_t first; /* element */
};

static uint16_t load_u16(const uint8_t *p)
{
    uint16_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static uint32_t load_u32(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static uint64_t load_u64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* An element whose exponent bits are all set is infinite if the rest is 0, else NaN. */
static enum fault ieee_fault(uint64_t magnitude, uint64_t infinity)
{
    if (magnitude < infinity) {
        return FAULT_NONE;
    }
    return magnitude == infinity ? FAULT_RANGE : FAULT_NAN;
}

static bool any_f64(const uint8_t *p)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bad |= (uint64_t)((load_u64(p + 8 * i) & INT64_MAX) >= UINT64_C(0x7FF0000000000000));
    }
    return bad != 0;
}

static enum fault classify_f64(const uint8_t *p)
{
    return ieee_fault(load_u64(p) & INT64_MAX, UINT64_C(0x7FF0000000000000));
}

static bool any_f32(const uint8_t *p)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bad |= (uint32_t)((load_u32(p + 4 * i) & 0x7F800000U) == 0x7F800000U);
    }
    return bad != 0;
}

static enum fault classify_f32(const uint8_t *p)
{
    return ieee_fault(load_u32(p) & 0x7FFFFFFFU, 0x7F800000U);
}

static bool any_bf16(const uint8_t *p)
{
    uint16_t bad = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bad = (uint16_t)(bad | ((load_u16(p + 2 * i) & 0x7F80U) == 0x7F80U));
    }
    return bad != 0;
}

static enum fault classify_bf16(const uint8_t *p)
{
    return ieee_fault(load_u16(p) & 0x7FFFU, 0x7F80U);
}

static bool any_f16(const uint8_t *p)
{
    uint16_t bad = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bad = (uint16_t)(bad | ((load_u16(p + 2 * i) & 0x7C00U) == 0x7C00U));
    }
    return bad != 0;
}

static enum fault classify_f16(const uint8_t *p)
{
    return ieee_fault(load_u16(p) & 0x7FFFU, 0x7C00U);
}

static bool any_e4m3(const uint8_t *p)
{
    uint8_t bad = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bad = (uint8_t)(bad | ((p[i] & 0x7FU) == 0x7FU));
    }
    return bad != 0;
}

static enum fault classify_e4m3(const uint8_t *p)
{
    return (*p & 0x7FU) == 0x7FU ? FAULT_NAN : FAULT_NONE;
}

static bool any_e5m2(const uint8_t *p)
{
    uint8_t bad = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bad = (uint8_t)(bad | ((p[i] & 0x7CU) == 0x7CU));
    }
    return bad != 0;
}

static enum fault classify_e5m2(const uint8_t *p)
{
    return ieee_fault(*p & 0x7FU, 0x7CU);
}

static bool any_scale(const uint8_t *p)
{
    uint8_t bad = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bad = (uint8_t)(bad | (p[i] > SCALE_MAX));
    }
    return bad != 0;
}

static enum fault classify_scale(const uint8_t *p)
{
    if (*p <= SCALE_MAX) {
        return FAULT_NONE;
    }
    return *p == SCALE_NAN ? FAULT_NAN : FAULT_RANGE;
}

static bool is_scale(const struct ox_tensor *t)
{
    static const char suffix[] = "_scale_inv";
    const size_t len = sizeof suffix - 1;
    if (t->dtype == OX_DTYPE_F8_E8M0) {
        return true;
    }
    return t->dtype == OX_DTYPE_U8 && t->name.len > len && memcmp(t->name.ptr + t->name.len - len, suffix, len) == 0;
}

/* NULL: any byte is good. */
static const struct kind *kind_of(const struct ox_tensor *t)
{
    static const struct kind scale = {1, any_scale, classify_scale};
    static const struct kind kinds[OX_N_DTYPES] = {
        [OX_DTYPE_F64] = {8, any_f64, classify_f64},       [OX_DTYPE_F32] = {4, any_f32, classify_f32},
        [OX_DTYPE_F16] = {2, any_f16, classify_f16},       [OX_DTYPE_BF16] = {2, any_bf16, classify_bf16},
        [OX_DTYPE_F8_E4M3] = {1, any_e4m3, classify_e4m3}, [OX_DTYPE_F8_E5M2] = {1, any_e5m2, classify_e5m2},
    };
    if (is_scale(t)) {
        return &scale;
    }
    return kinds[t->dtype].bytes > 0 ? &kinds[t->dtype] : NULL;
}

/* Add what is wrong with elements [begin, end) of t. */
static void scan(const struct ox_tensor *t, const struct kind *kind, size_t begin, size_t end, struct finding *finding)
{
    for (size_t at = begin; at < end; at += BLOCK) {
        const size_t n = end - at < BLOCK ? end - at : BLOCK;
        if (n == BLOCK && !kind->any(t->data + at * kind->bytes)) {
            continue;
        }
        for (size_t i = at; i < at + n; i++) {
            const enum fault fault = kind->classify(t->data + i * kind->bytes);
            if (fault == FAULT_NONE) {
                continue;
            }
            if (finding->n_nan + finding->n_range == 0) {
                finding->first = i;
            }
            finding->n_nan += fault == FAULT_NAN;
            finding->n_range += fault == FAULT_RANGE;
        }
    }
}

static void describe(const struct ox_checkpoint *c, const struct ox_tensor *t, const struct finding *f, char *text,
                     size_t room)
{
    const struct ox_label label = ox_label_make(t->name);
    const char *file = ox_checkpoint_file_name(c, t->i_file);
    if (is_scale(t)) {
        snprintf(text, room,
                 "%s: tensor %s: expected scales from 0 to 246, found %zu of 255 (NaN) and %zu of 247 to "
                 "254 among %zu, the first at element %zu",
                 file, label.text, f->n_nan, f->n_range, t->len, f->first);
        return;
    }
    snprintf(text, room,
             "%s: tensor %s: expected finite values, found %zu NaN and %zu infinite among %zu, the first at "
             "element %zu",
             file, label.text, f->n_nan, f->n_range, t->len / ox_dtype_bytes(t->dtype), f->first);
}

enum ox_status ox_checkpoint_verify(const struct ox_checkpoint *checkpoint, const struct ox_log *log,
                                    int (*report)(void *user, const struct ox_tensor *tensor, const char *sentence),
                                    void *user, size_t *n_bad, struct ox_error *err)
{
    const uint64_t total = ox_checkpoint_data_bytes(checkpoint);
    uint64_t done = 0;
    uint64_t shown = 0;
    *n_bad = 0;
    for (size_t i = 0; i < ox_checkpoint_n_tensors(checkpoint); i++) {
        const struct ox_tensor *t = ox_checkpoint_tensor(checkpoint, i);
        const struct kind *kind = kind_of(t);
        struct finding finding = {0, 0, 0};
        for (size_t at = 0; at < t->len; at += STEP_BYTES) {
            const size_t len = t->len - at < STEP_BYTES ? t->len - at : STEP_BYTES;
            if (kind != NULL && t->len >= AHEAD_BYTES) {
                ox_checkpoint_advise(checkpoint, t, at, 2 * STEP_BYTES);
            }
            if (kind != NULL) {
                scan(t, kind, at / kind->bytes, (at + len) / kind->bytes, &finding);
            }
            done += len;
            if (done - shown >= STEP_BYTES && done < total) {
                ox_log_progress(log, "verify", done, total, "bytes");
                shown = done;
            }
        }
        if (finding.n_nan + finding.n_range > 0) {
            char sentence[OX_ERROR_MESSAGE_BYTES];
            describe(checkpoint, t, &finding, sentence, sizeof sentence);
            ++*n_bad;
            if (report(user, t, sentence) != 0) {
                return ox_error_set(err, OX_E_CANCELLED,
                                    "reading all weights was cancelled after %" PRIu64 " of %" PRIu64 " bytes", done,
                                    total);
            }
        }
    }
    ox_log_progress(log, "verify", total, total, "bytes");
    return OX_OK;
}
