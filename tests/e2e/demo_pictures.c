/* SPDX-License-Identifier: Apache-2.0
 *
 * The demonstration model looks at drawn pictures and clips, through the public interface alone. Of pictures with one
 * shape and of clips at most one in 24 may be described wrongly, of pictures with two shapes one in 8: the model itself
 * is right about 92 % of those.
 *
 *     demo_pictures [--all] [--show] [--level=CPU_LEVEL]
 *     demo_pictures --bmp=FILE [SEED]
 *
 * Without --all, 12 cases of each kind. The second form is for scripts: it draws a picture, writes it to FILE and prints
 * what there is to be seen.
 */
#include "base/str.h"
#include "tests/demo_look.h"

#define SHORT_CASES 12
#define ALL_CASES 96

/* One case, given as pixels; is the model's answer right? */
static bool play(struct oxcart_session *session, enum draw_kind kind, uint64_t seed, bool show)
{
    struct drawing drawing;
    draw(kind, seed, &drawing);
    const struct oxcart_media media = demo_look_media(&drawing);
    const bool right = demo_look(session, &drawing, &media, show);
    draw_free(&drawing);
    return right;
}

static void put_u32(uint8_t *to, uint32_t x)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(x >> 8 * i);
    }
}

/* Rows from the bottom up, blue first; rows of 28 pixels need no padding. */
static int write_bmp(const char *path, uint64_t seed)
{
    struct drawing drawing;
    uint8_t head[54] = {'B', 'M'};
    draw(DRAW_PICTURE, seed, &drawing);
    const size_t row = (size_t)drawing.width * 3;
    FILE *file = fopen(path, "wb");
    put_u32(head + 2, (uint32_t)(sizeof head + row * (size_t)drawing.height));
    put_u32(head + 10, sizeof head);
    put_u32(head + 14, 40);
    put_u32(head + 18, (uint32_t)drawing.width);
    put_u32(head + 22, (uint32_t)drawing.height);
    put_u32(head + 26, 24U << 16 | 1U);
    bool good = file != NULL && fwrite(head, sizeof head, 1, file) == 1;
    for (int y = drawing.height; good && y > 0; y--) {
        uint8_t *pixels = drawing.pixels + (size_t)(y - 1) * row;
        for (size_t i = 0; i < row; i += 3) {
            const uint8_t red = pixels[i];
            pixels[i] = pixels[i + 2];
            pixels[i + 2] = red;
        }
        good = fwrite(pixels, row, 1, file) == 1;
    }
    good = file != NULL && fclose(file) == 0 && good;
    puts(drawing.answer);
    draw_free(&drawing);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strncmp(argv[1], "--bmp=", 6) == 0) {
        uint64_t seed = 0;
        return argc > 2 && !ox_str_to_u64(ox_str_c(argv[2]), &seed) ? 2 : write_bmp(argv[1] + 6, seed);
    }
    static const int most_wrong[N_DRAW_KINDS] = {24, 8, 24}; /* one in so many */
    int n_cases = SHORT_CASES;
    bool show = false;
    const char *level = NULL;
    for (int i = 1; i < argc; i++) {
        n_cases = strcmp(argv[i], "--all") == 0 ? ALL_CASES : n_cases;
        show = show || strcmp(argv[i], "--show") == 0;
        level = strncmp(argv[i], "--level=", 8) == 0 ? argv[i] + 8 : level;
    }
    char model[4200];
    snprintf(model, sizeof model, "%s", tap_file("demo"));
    const struct oxcart_engine_options options = {.size = sizeof options, .model_path = model, .cpu_level = level};
    struct oxcart_error err = {0};
    struct oxcart_engine *engine = NULL;
    struct oxcart_session *session = NULL;
    if (OK(oxcart_engine_open(&options, &engine, &err) == OXCART_OK &&
               oxcart_session_open(engine, NULL, &session, &err) == OXCART_OK,
           "the demonstration model opens %s", err.message)) {
        for (size_t k = 0; k < N_DRAW_KINDS; k++) {
            int n_right = 0;
            for (int i = 0; i < n_cases; i++) {
                n_right += play(session, (enum draw_kind)k, (uint64_t)i, show) ? 1 : 0;
            }
            const int n_wrong = n_cases - n_right;
            OK(n_wrong <= 1 || n_wrong * most_wrong[k] <= n_cases, "%s: %d of %d right", draw_kind_names[k], n_right,
               n_cases);
        }
    }
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    return tap_done();
}
