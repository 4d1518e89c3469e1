/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the sources in the tree, takes them in the order in which the prompt shows them, and loads each: a file, or an
 * answer of another host. The tree is changed only when all are there.
 */
#include "server/media_source.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"
#include "text/chat_parse.h"

#define DEFAULT_MAX_MEDIA 64
#define DEFAULT_MAX_BYTES ((size_t)64 << 20)
#define DEFAULT_FETCH_MS 20000
#define DEFAULT_CONNECT_MS 5000
#define PLACE_BYTES 96

/* A picture or clip that the tree names. */
struct part {
    json_t *list; /* the content list it stands in, borrowed */
    size_t i;
    bool is_video;
    struct ox_str source; /* borrowed from the tree */
    bool is_taken;
    char place[PLACE_BYTES];
};

/* What is loaded for one. */
struct ox_media_loaded {
    struct ox_buf bytes;
    char place[PLACE_BYTES];
    json_t *list; /* where its part stands, borrowed */
    size_t i;
    json_t *bare; /* what the part becomes, owned */
};

struct loader {
    const struct ox_media_options *options;
    struct ox_fetch_options fetch;
    size_t max_media;
    size_t max_bytes;
    size_t total_left;
    struct part *parts; /* all of the tree, [n_parts] */
    size_t n_parts;
    size_t parts_cap;
    struct ox_media_set *set;
    struct ox_api_error *error;
};

void ox_media_set_fini(struct ox_media_set *set)
{
    for (size_t i = 0; i < set->n_media; i++) {
        ox_buf_fini(&set->loaded[i].bytes);
        json_decref(set->loaded[i].bare);
    }
    ox_free(set->loaded);
    ox_free(set->media);
    *set = (struct ox_media_set){0};
}

static bool refuse(const struct loader *l, const struct part *part, const char *why)
{
    return ox_api_refuse(l->error, 400, "invalid_request_error", "invalid_media", part->place, "%s: %s", part->place,
                         why);
}

static bool refuse_size(const struct loader *l, const struct part *part)
{
    char why[96];
    if (l->total_left < l->max_bytes) {
        return refuse(l, part, "the pictures and clips of the request are too large together");
    }
    snprintf(why, sizeof why, "larger than %zu bytes, the limit of --max-body", l->max_bytes);
    return refuse(l, part, why);
}

/* ---- finding ------------------------------------------------------------------------------------------------------ */

static bool add_part(struct loader *l, json_t *list, size_t i_message, size_t i, bool is_video, struct ox_str source)
{
    void *grown = l->parts;
    if (ox_grow(&grown, &l->parts_cap, l->n_parts + 1, sizeof *l->parts) != 0) {
        return ox_api_refuse_nomem(l->error);
    }
    l->parts = grown;
    struct part *part = &l->parts[l->n_parts];
    *part = (struct part){.list = list, .i = i, .is_video = is_video, .source = source};
    const json_t *type = json_object_get(json_array_get(list, i), "type");
    snprintf(part->place, sizeof part->place, "messages[%zu].content[%zu].%s", i_message, i, json_string_value(type));
    if (l->n_parts == l->max_media) {
        return ox_api_refuse(l->error, 400, "invalid_request_error", "too_many_media", part->place,
                             "%s: more than %zu pictures and clips, the limit of --max-images", part->place,
                             l->max_media);
    }
    l->n_parts++;
    return true;
}

/* The picture or clip that element i of a message's content is; false: something else, or malformed, which is left for the
 * one who reads the conversation. */
static bool is_media(const json_t *message, size_t i, bool *is_video, struct ox_str *source)
{
    bool ok;
    const bool is_result = ox_str_is(ox_json_text(json_object_get(message, "role")), "tool");
    const json_t *content = json_object_get(message, "content");
    const enum ox_chat_part kind = ox_chat_part_read(json_array_get(content, i), is_result, source, &ok);
    *is_video = kind == OX_CHAT_PART_VIDEO;
    return ok && (kind == OX_CHAT_PART_IMAGE || kind == OX_CHAT_PART_VIDEO);
}

bool ox_media_is_shown(const json_t *conversation)
{
    const json_t *messages = json_object_get(conversation, "messages");
    for (size_t m = 0; m < json_array_size(messages); m++) {
        const json_t *message = json_array_get(messages, m);
        for (size_t i = 0; i < json_array_size(json_object_get(message, "content")); i++) {
            struct ox_str source;
            bool is_video;
            if (is_media(message, i, &is_video, &source)) {
                return true;
            }
        }
    }
    return false;
}

/* All parts of the tree. */
static bool find_parts(struct loader *l, const json_t *conversation)
{
    const json_t *messages = json_object_get(conversation, "messages");
    for (size_t m = 0; m < json_array_size(messages); m++) {
        const json_t *message = json_array_get(messages, m);
        json_t *list = json_object_get(message, "content");
        for (size_t i = 0; i < json_array_size(list); i++) {
            struct ox_str source;
            bool is_video;
            if (is_media(message, i, &is_video, &source) && !add_part(l, list, m, i, is_video, source)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- loading ------------------------------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char letter = (char)(c | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Append name to out, with %XX as bytes if it is escaped. False: not a name. */
static bool read_name(struct ox_str name, bool escaped, struct ox_buf *out)
{
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        if (escaped && byte == '%') {
            const int high = i + 2 < name.len ? hex_digit(name.ptr[i + 1]) : -1;
            const int low = i + 2 < name.len ? hex_digit(name.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (byte == '\0') {
            return false;
        }
        ox_buf_add_byte(out, byte);
    }
    return name.len > 0;
}

/* Name without the folder that it begins with; NULL if it is absolute and begins with another. */
static const char *below_folder(const char *folder, const char *name)
{
    size_t len = strlen(folder);
    while (len > 0 && folder[len - 1] == '/') {
        len--;
    }
    if (strncmp(name, folder, len) == 0 && name[len] == '/' && name[0] == '/') {
        name += len;
        name += strspn(name, "/");
    }
    return name[0] == '/' ? NULL : name;
}

static bool load_file(const struct loader *l, const struct part *part, struct ox_str name, bool escaped,
                      struct ox_buf *out)
{
    static const char none[] = "no such regular file below the folder of --media-path";
    struct ox_buf path = {0};
    struct ox_error err = {0};
    bool good = false;
    if (l->options->folder == NULL) {
        return refuse(l, part, "a file is named, and files are not read; --media-path would allow them");
    }
    const bool is_name = read_name(name, escaped, &path);
    const char *below = is_name ? below_folder(l->options->folder, ox_buf_text(&path)) : NULL;
    if (ox_buf_failed(&path)) {
        (void)ox_api_refuse_nomem(l->error);
    } else if (below == NULL) {
        (void)refuse(l, part, none);
    } else {
        const size_t room = l->max_bytes < l->total_left ? l->max_bytes : l->total_left;
        switch (ox_file_read_below(l->options->folder, below, room, out, &err)) {
        case OX_OK:
            good = true;
            break;
        case OX_E_NOMEM:
            (void)ox_api_refuse_nomem(l->error);
            break;
        case OX_E_LIMIT:
            (void)refuse_size(l, part);
            break;
        case OX_E_DEVICE:
            (void)refuse(l, part, err.message);
            break;
        default:
            (void)refuse(l, part, none);
            break;
        }
    }
    ox_buf_fini(&path);
    return good;
}

static bool load_remote(struct loader *l, const struct part *part, struct ox_buf *out)
{
    struct ox_error err = {0};
    if (l->options->n_hosts == 0) {
        return refuse(l, part, "a URL is named, and no host may be asked; --allow-remote-media would allow one");
    }
    l->fetch.max_bytes = l->max_bytes < l->total_left ? l->max_bytes : l->total_left;
    switch (ox_fetch(part->source, &l->fetch, out, &err)) {
    case OX_OK:
        return true;
    case OX_E_NOMEM:
        return ox_api_refuse_nomem(l->error);
    case OX_E_CANCELLED:
        return ox_api_refuse(l->error, 503, "server_error", "cancelled", part->place, "%s: %s", part->place,
                             err.message);
    default:
        return refuse(l, part, err.message);
    }
}

static bool is_scheme_byte(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* Where the colon of a scheme stands ("http" has 4); 0: s begins with none. */
static size_t scheme_length(struct ox_str s)
{
    size_t n = 0;
    while (n < s.len && is_scheme_byte(s.ptr[n])) {
        n++;
    }
    return n < s.len && s.ptr[n] == ':' ? n : 0;
}

static bool is_scheme(struct ox_str source, size_t n, const char *name)
{
    for (size_t i = 0; i < n && name[i] != '\0'; i++) {
        if ((source.ptr[i] | 0x20) != name[i]) {
            return false;
        }
    }
    return strlen(name) == n;
}

static bool load_source(struct loader *l, const struct part *part, struct ox_buf *out)
{
    const size_t n = scheme_length(part->source);
    if (n == 0) {
        return load_file(l, part, part->source, false, out);
    }
    if (is_scheme(part->source, n, "http") || is_scheme(part->source, n, "https")) {
        return load_remote(l, part, out);
    }
    const struct ox_str rest = ox_str_make(part->source.ptr + n + 1, part->source.len - n - 1);
    if (is_scheme(part->source, n, "file") && ox_str_starts(rest, ox_str_c("//"))) {
        return load_file(l, part, ox_str_make(rest.ptr + 2, rest.len - 2), true, out);
    }
    return refuse(l, part, "expected a data: URI, an http or https URL, file:// and a name, or a name");
}

/* Load the part and append it to the set. */
static bool take(struct loader *l, struct part *part)
{
    part->is_taken = true;
    struct ox_media_loaded *loaded = &l->set->loaded[l->set->n_media];
    struct oxcart_media *media = &l->set->media[l->set->n_media];
    *loaded = (struct ox_media_loaded){.list = part->list, .i = part->i};
    l->set->n_media++;
    snprintf(loaded->place, sizeof loaded->place, "%s", part->place);
    if (!load_source(l, part, &loaded->bytes)) {
        return false;
    }
    l->total_left -= loaded->bytes.len;
    if (loaded->bytes.len == 0) {
        return refuse(l, part, "there are no bytes");
    }
    loaded->bare = json_pack("{s:s}", "type", part->is_video ? "video" : "image");
    *media = (struct oxcart_media){.size = sizeof *media,
                                   .kind = part->is_video ? OXCART_MEDIA_VIDEO : OXCART_MEDIA_IMAGE,
                                   .name = loaded->place,
                                   .bytes = (const uint8_t *)loaded->bytes.ptr,
                                   .n_bytes = loaded->bytes.len};
    return loaded->bare != NULL || ox_api_refuse_nomem(l->error);
}

static bool is_data(struct ox_str source)
{
    return ox_str_starts(source, ox_str_c("data:"));
}

/* Load the parts that the rendered prompt shows, in its order: tool results may stand in another one there. */
static bool take_shown(struct loader *l, const struct ox_prompt *prompt)
{
    for (size_t i = 0; i < prompt->n_media; i++) {
        const struct ox_str source = prompt->media[i].source;
        size_t j = 0;
        while (j < l->n_parts && (l->parts[j].source.ptr != source.ptr || l->parts[j].is_taken)) {
            j++;
        }
        if (j < l->n_parts && !is_data(source) && !take(l, &l->parts[j])) {
            return false;
        }
    }
    return true;
}

static bool take_all(struct loader *l, json_t *conversation)
{
    struct ox_chat *chat = NULL;
    struct ox_prompt prompt = {0};
    struct ox_error err = {0};
    l->set->media = ox_calloc(l->n_parts, sizeof *l->set->media);
    l->set->loaded = ox_calloc(l->n_parts, sizeof *l->set->loaded);
    if (l->set->media == NULL || l->set->loaded == NULL) {
        return ox_api_refuse_nomem(l->error);
    }
    enum ox_status status = ox_chat_from_json(conversation, "conversation", NULL, NULL, &chat, &err);
    if (status == OX_OK) {
        status = ox_chat_render(chat, &prompt, &err);
    }
    bool good = status == OX_OK;
    if (status == OX_E_NOMEM) {
        (void)ox_api_refuse_nomem(l->error);
    } else if (status != OX_OK) {
        (void)ox_api_refuse(l->error, 400, "invalid_request_error", NULL, NULL, "%s", err.message);
    } else {
        good = take_shown(l, &prompt);
    }
    ox_prompt_fini(&prompt);
    ox_chat_free(chat);
    return good;
}

static bool load(struct loader *l, json_t *conversation)
{
    bool wanted = false;
    if (!find_parts(l, conversation)) {
        return false;
    }
    for (size_t i = 0; i < l->n_parts; i++) {
        const struct part *part = &l->parts[i];
        if (part->source.len == 0) {
            return refuse(l, part, "expected a source: a data: URI or a URL");
        }
        if (is_data(part->source) && part->source.len / 4 * 3 > l->max_bytes) {
            return refuse_size(l, part);
        }
        wanted = wanted || !is_data(part->source);
    }
    return !wanted || take_all(l, conversation);
}

bool ox_media_load(json_t *conversation, const struct ox_media_options *options, const atomic_bool *cancelled,
                   struct ox_media_set *set, struct ox_api_error *error)
{
    const size_t max_bytes = options->max_bytes != 0 ? options->max_bytes : DEFAULT_MAX_BYTES;
    const size_t all_bytes = max_bytes <= SIZE_MAX / 4 ? 4 * max_bytes : SIZE_MAX;
    const size_t total_bytes = options->max_total_bytes != 0 ? options->max_total_bytes : all_bytes;
    const int32_t fetch_ms = options->fetch_ms != 0 ? options->fetch_ms : DEFAULT_FETCH_MS;
    struct loader l = {
        .options = options,
        .fetch = {.hosts = options->hosts,
                  .n_hosts = options->n_hosts,
                  .deadline_ns = ox_clock_ns() + (uint64_t)fetch_ms * 1000000,
                  .connect_ms = options->connect_ms != 0 ? options->connect_ms : DEFAULT_CONNECT_MS,
                  .cancelled = cancelled,
                  .permit_loopback = options->permit_loopback,
                  .resolve = options->resolve,
                  .user = options->user},
        .max_media = options->max_media != 0 ? options->max_media : DEFAULT_MAX_MEDIA,
        .max_bytes = max_bytes,
        .total_left = total_bytes,
        .set = set,
        .error = error,
    };
    const bool good = load(&l, conversation);
    for (size_t i = 0; good && i < set->n_media; i++) {
        struct ox_media_loaded *loaded = &set->loaded[i];
        (void)json_array_set_new(loaded->list, loaded->i, loaded->bare);
        loaded->bare = NULL;
    }
    ox_free(l.parts);
    if (!good) {
        ox_media_set_fini(set);
    }
    return good;
}
