/* SPDX-License-Identifier: Apache-2.0
 *
 * Showing the demonstration model a drawing: what the tests of its eyes share.
 */
#ifndef OX_TESTS_DEMO_LOOK_H
#define OX_TESTS_DEMO_LOOK_H

#include "tests/demo_help.h"
#include "tests/draw.h"

/* The drawing as pixels; a clip has a frame a second. */
static inline struct oxcart_media demo_look_media(const struct drawing *drawing)
{
    return (struct oxcart_media){.size = sizeof(struct oxcart_media),
                                 .kind = drawing->n_frames > 1 ? OXCART_MEDIA_VIDEO : OXCART_MEDIA_IMAGE,
                                 .pixels = drawing->pixels,
                                 .n_frames = drawing->n_frames,
                                 .height = drawing->height,
                                 .width = drawing->width,
                                 .frames_s = 1.0};
}

/* Ask about the drawing, which is given as `media`; is the answer right? Wrong ones are noted, with `show` all. */
static inline bool demo_look(struct oxcart_session *session, const struct drawing *drawing,
                             const struct oxcart_media *media, bool show)
{
    const struct oxcart_messages_options options = {.size = sizeof options, .media = media, .n_media = 1};
    struct demo_reply reply = {0};
    struct oxcart_result result = {.size = sizeof result};
    struct oxcart_error err = {0};
    char json[512];
    snprintf(json, sizeof json,
             "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"%s\"}, {\"type\": \"text\", \"text\": "
             "\"%s\"}]}], \"thinking_mode\": \"disabled\"}",
             media->kind == OXCART_MEDIA_VIDEO ? "video" : "image", drawing->question);
    const enum oxcart_status status = oxcart_session_set_messages(session, json, strlen(json), &options, &err);
    const bool right = status == OXCART_OK && demo_decode(session, NULL, &reply, &result) == OXCART_OK &&
                       result.finish == OXCART_FINISH_STOP && strcmp(reply.content, drawing->answer) == 0;
    if (!right || show) {
        NOTE("\"%s\", expected \"%s\"%s%s", reply.content, drawing->answer, status != OXCART_OK ? ": " : "",
             err.message);
    }
    return right;
}

/* Where the program that decodes files is. */
static inline void demo_look_helper(char *out, size_t cap)
{
    const char *build = getenv("abs_top_builddir");
    snprintf(out, cap, "%s/oxcart-media", build != NULL ? build : ".");
}

/* A session that may decode files. A model that does not open ends the program. */
static inline struct oxcart_session *demo_look_open(struct oxcart_engine **engine)
{
    char helper[4300];
    struct oxcart_error err = {0};
    struct oxcart_session *session = NULL;
    demo_look_helper(helper, sizeof helper);
    const struct oxcart_session_options options = {.size = sizeof options, .media_helper = helper};
    *engine = demo_open(tap_file("demo"), 0);
    if (oxcart_session_open(*engine, &options, &session, &err) != OXCART_OK) {
        OK(false, "%s", err.message);
        exit(1);
    }
    return session;
}

#endif
