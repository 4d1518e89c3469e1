/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures of saved sessions. What is read makes sense for the timeline, and is read the same when it is written again.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/media_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_TOKENS ((size_t)64)

static void check_spans(const struct ox_spans *spans)
{
    size_t at = 0;
    for (size_t i = 0; i < spans->len; i++) {
        const struct ox_span *span = &spans->ptr[i];
        const struct ox_media *media = &span->picture->media;
        OX_CHECK(span->n > 0 && span->begin >= at && span->begin + span->n <= N_TOKENS);
        OX_CHECK(span->row + span->n <= span->picture->n_features);
        OX_CHECK(span->picture->n_features == ox_media_grid_t(media) * ox_media_tokens_per_t(media));
        at = span->begin + span->n;
    }
}

static void check_again(const struct ox_spans *spans)
{
    struct ox_pictures pictures = {0};
    struct ox_spans again = {0};
    struct ox_buf first = {0};
    struct ox_buf second = {0};
    ox_media_record_write(spans, &first);
    OX_CHECK(!ox_buf_failed(&first));
    OX_CHECK(ox_media_record_read((const uint8_t *)first.ptr, first.len, N_TOKENS, &pictures, &again, NULL) == OX_OK);
    ox_media_record_write(&again, &second);
    OX_CHECK(!ox_buf_failed(&second) && ox_str_equal(ox_buf_str(&first), ox_buf_str(&second)));
    ox_buf_fini(&first);
    ox_buf_fini(&second);
    ox_spans_fini(&again);
    ox_pictures_fini(&pictures);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ox_pictures pictures = {0};
    struct ox_spans spans = {0};
    struct ox_error err = {0};
    const enum ox_status status = ox_media_record_read(data, size, N_TOKENS, &pictures, &spans, &err);
    OX_CHECK(status == OX_OK || (status == OX_E_FORMAT && err.message[0] != '\0'));
    check_spans(&spans);
    if (status == OX_OK) {
        check_again(&spans);
    }
    ox_spans_fini(&spans);
    ox_pictures_fini(&pictures);
    return 0;
}
