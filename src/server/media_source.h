/* SPDX-License-Identifier: Apache-2.0
 *
 * What the picture and video parts of a request point to: looked up before the engine sees the conversation, which then
 * holds data: URIs and nothing that could lead it to a file or another host.
 */
#ifndef OX_SERVER_MEDIA_SOURCE_H
#define OX_SERVER_MEDIA_SOURCE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "oxcart.h"
#include "server/api.h"
#include "server/remote_media.h"

/* What the server's options allow. Texts are borrowed. Zeros allow data: URIs only. */
struct ox_media_options {
    const char *folder;       /* --media-path: files below it may be named; NULL: none */
    const char *const *hosts; /* --allow-remote-media, [n_hosts], as in struct ox_fetch_options */
    size_t n_hosts;
    size_t max_media;       /* --max-images: parts of one request; 0: 64 */
    size_t max_bytes;       /* of one picture or clip, --max-body; 0: 64 MiB */
    size_t max_total_bytes; /* of all of a request that are loaded here; 0: 4 * max_bytes */
    int32_t fetch_ms;       /* for all fetches of a request together; 0: 20,000 */
    int32_t connect_ms;     /* for each connection; 0: 5,000 */

    /* For tests, as in struct ox_fetch_options. */
    bool permit_loopback;
    const char *(*resolve)(void *user, const char *host, uint16_t port);
    void *user;
};

/* The loaded pictures and clips of a conversation. All zero is empty. */
struct ox_media_set {
    struct oxcart_media
        *media; /* [n_media], in the order of oxcart_messages_options.media; names and bytes lie in the set */
    size_t n_media;
    struct ox_media_loaded *loaded; /* [n_media] */
};
void ox_media_set_fini(struct ox_media_set *set);

/* Has conversation {"messages": [...]} parts that are pictures or clips? Any thread. */
bool ox_media_is_shown(const json_t *conversation);

/* Load what the parts of conversation {"messages": [...]} point to. A data: URI stays (its size is checked). Any other
 * source is read into *set (which must be empty), and its part becomes {"type": "image"} or "video", so that set->media is
 * what the engine wants; parts that the prompt leaves out (chat.h) stay as they are. Sources:
 *     http://..., https://...            from options->hosts
 *     NAME, file://NAME                  the file NAME below options->folder
 *     FOLDER/NAME, file://FOLDER/NAME    the same; FOLDER as the option spells it
 * In file:// names %XX stands for a byte. False: *error says why and *set is empty; the conversation is unchanged then. The
 * sentence begins with the part's place ("messages[2].content[0].image_url: ..."), which is error->param too, and names
 * the option that would allow it; it tells nothing of files outside the folder, nor anything that a host answered.
 * http_status is 400; 503 when out of memory or cancelled (true: give up soon; may be NULL). Blocks for fetch_ms and
 * longer: only on threads that may. Any thread. */
bool ox_media_load(json_t *conversation, const struct ox_media_options *options, const atomic_bool *cancelled,
                   struct ox_media_set *set, struct ox_api_error *error);

#endif
