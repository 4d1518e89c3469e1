/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoder's answer caught in this process: what a helper would write to the pipe goes into memory and is read as the
 * library reads it. For the fuzz targets that decode. Their input is a line with a helper's operands and the file.
 */
#ifndef OX_TESTS_ANSWER_HELP_H
#define OX_TESTS_ANSWER_HELP_H

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "media/frames.h"
#include "media/helper/send.h"

#define ANSWER_OPERAND_BYTES 32
#define ANSWER_MAX_PIXELS ((uint64_t)1 << 18) /* beyond this a run takes long and shows nothing new */
#define ANSWER_MAX_FRAMES 8

/* Split the input. False if its first line is none that a helper takes. Numbers that only cost time are lowered. */
static inline bool answer_input(const uint8_t *data, size_t size, struct ox_request *request, struct ox_str *file)
{
    char texts[OX_N_OPERANDS + 1][ANSWER_OPERAND_BYTES];
    const char *operands[OX_N_OPERANDS + 1];
    struct ox_str rest = ox_str_make((const char *)data, size);
    const size_t end = ox_str_find(rest, ox_str_c("\n"), 0);
    struct ox_str line = ox_str_make(rest.ptr, end);
    size_t n = 0;
    if (end == size) {
        return false;
    }
    *file = ox_str_make(rest.ptr + end + 1, size - end - 1);
    while (line.len > 0 && n <= OX_N_OPERANDS) {
        const size_t len = ox_str_find(line, ox_str_c(" "), 0);
        (void)snprintf(texts[n], sizeof texts[n], "%.*s", (int)(len < sizeof texts[n] ? len : sizeof texts[n]),
                       line.ptr);
        operands[n] = texts[n];
        n++;
        const size_t used = len < line.len ? len + 1 : len;
        line = ox_str_make(line.ptr + used, line.len - used);
    }
    if (!ox_request_read(n, operands, request)) {
        return false;
    }
    uint64_t *numbers = request->numbers;
    for (size_t i = OX_OPERAND_MAX_PIXELS; i <= OX_OPERAND_MAX_SOURCE_PIXELS; i++) {
        numbers[i] = numbers[i] < ANSWER_MAX_PIXELS ? numbers[i] : ANSWER_MAX_PIXELS;
    }
    numbers[OX_OPERAND_MAX_FRAMES] =
        numbers[OX_OPERAND_MAX_FRAMES] < ANSWER_MAX_FRAMES ? numbers[OX_OPERAND_MAX_FRAMES] : ANSWER_MAX_FRAMES;
    return true;
}

/* Descriptor 1 becomes memory; returns a copy of the old one. */
static inline int answer_catch(void)
{
    (void)fflush(stdout);
    const int old = dup(STDOUT_FILENO);
    const int memory = memfd_create("answer", MFD_CLOEXEC);
    OX_CHECK(old >= 0 && memory >= 0 && dup2(memory, STDOUT_FILENO) == STDOUT_FILENO && close(memory) == 0);
    return old;
}

/* Descriptor 1 becomes `old` again; returns the memory, at its beginning. */
static inline int answer_release(int old)
{
    const int memory = dup(STDOUT_FILENO);
    OX_CHECK(memory >= 0 && dup2(old, STDOUT_FILENO) == STDOUT_FILENO && close(old) == 0 &&
             lseek(memory, 0, SEEK_SET) == 0);
    return memory;
}

static inline enum ox_status answer_read_bytes(void *user, void *bytes, size_t len, struct ox_error *err)
{
    const int memory = *(const int *)user;
    const ssize_t n = read(memory, bytes, len);
    return n == (ssize_t)len ? OX_OK : ox_error_set(err, OX_E_IO, "the end");
}

/* Is `read` what the library makes of `sent`: cut, and without bytes that are no text? */
static inline bool answer_same_text(const char *read_text, const char *sent)
{
    size_t i = 0;
    while (read_text[i] != '\0' &&
           (read_text[i] == sent[i] || (read_text[i] == '?' && (sent[i] < ' ' || sent[i] > '~')))) {
        i++;
    }
    return i > 0 && read_text[i] == '\0' && (sent[i] == '\0' || i == OX_PROTOCOL_MAX_ERROR_BYTES);
}

/* Read the answer in `memory`, which is closed, as what a decoder with this status and error has sent: the library must
 * take it, and find the same. On success *media must be freed. */
static inline void answer_check(int memory, enum ox_media_kind kind, const struct ox_request *request,
                                enum ox_status status, const struct ox_error *err, struct ox_media *media)
{
    const struct ox_frames_input input = {answer_read_bytes, &memory};
    const uint64_t *numbers = request->numbers;
    struct ox_media_options options = {.max_pixels = numbers[OX_OPERAND_MAX_PIXELS],
                                       .max_frame_pixels = numbers[OX_OPERAND_MAX_PIXELS],
                                       .max_video_pixels = numbers[OX_OPERAND_MAX_VIDEO_PIXELS],
                                       .max_source_pixels = numbers[OX_OPERAND_MAX_SOURCE_PIXELS],
                                       .max_frames = (uint32_t)numbers[OX_OPERAND_MAX_FRAMES]};
    struct ox_error found = {.code = OX_OK};
    memcpy(&options.fps, &numbers[OX_OPERAND_FPS_BITS], sizeof options.fps);
    OX_CHECK(ox_frames_read(&input, kind, &options, media, &found) == status);
    OX_CHECK(status == OX_OK || (found.code == err->code && answer_same_text(found.message, err->message)));
    OX_CHECK(read(memory, &found, 1) == 0); /* nothing behind the end */
    (void)close(memory);
}

#endif
