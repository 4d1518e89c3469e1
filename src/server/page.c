/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the chat page's files; embed.sh makes them C.
 */
#include "server/page.h"

const struct ox_page_asset *ox_page_find(struct ox_str path)
{
    for (size_t i = 0; i < ox_page_n_assets; i++) {
        if (ox_str_is(path, ox_page_assets[i].path)) {
            return &ox_page_assets[i];
        }
    }
    return NULL;
}
