/* SPDX-License-Identifier: Apache-2.0
 *
 * Written ids: what is read, written down again, is read the same; what is refused is refused where the error says.
 */
#include <string.h>

#include "base/buf.h"
#include "engine/trace_ids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ox_str text = ox_str_make((const char *)data, size);
    struct ox_ids ids = {0};
    struct ox_ids again = {0};
    struct ox_buf buf = {0};
    struct ox_error err = {0};
    const enum ox_status status = ox_trace_parse_ids(text, "ids", &ids, &err);
    OX_CHECK(status == OX_OK || (status == OX_E_FORMAT && err.offset < size && err.message[0] != '\0'));
    for (size_t i = 0; i < ids.len; i++) {
        OX_CHECK(ids.ptr[i] >= 0);
        ox_buf_printf(&buf, "%d\n", ids.ptr[i]);
    }
    OX_CHECK(ox_trace_parse_ids(ox_buf_str(&buf), "ids", &again, NULL) == OX_OK && again.len == ids.len);
    OX_CHECK(ids.len == 0 || memcmp(ids.ptr, again.ptr, ids.len * sizeof *ids.ptr) == 0);
    if (status != OX_OK) { /* what stands before the fault is good */
        again.len = 0;
        OX_CHECK(ox_trace_parse_ids(ox_str_make(text.ptr, (size_t)err.offset), "ids", &again, NULL) == OX_OK &&
                 again.len == ids.len);
    }
    ox_ids_fini(&ids);
    ox_ids_fini(&again);
    ox_buf_fini(&buf);
    return 0;
}
