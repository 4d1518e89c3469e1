/* SPDX-License-Identifier: Apache-2.0
 *
 * Traces of small random checkpoints against the reference's golden files (tests/golden/trace), with the reference's
 * own rule of comparison: the worst row's root mean square error counts, choices of blocks and experts may differ only
 * within the reference's margins. Chunks and threads must not change a byte of the file.
 */
#include <errno.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/trace.h"
#include "os/file.h"
#include "simd/kernels.h"
#include "tests/tap.h"
#include "weights/safetensors.h"

/* Whether an engine may be opened at a level that the processor lacks, with emulated kernels. The linker calls these in
 * place of what they are named for (Makefile.am). */
static bool emulating;

#if defined(OX_HAVE_EMULATION)
bool __real_ox_cpu_has_level(enum ox_cpu_level level);
bool __wrap_ox_cpu_has_level(enum ox_cpu_level level);
void __real_ox_kernels_init(struct ox_kernels *kernels, enum ox_cpu_level level);
void __wrap_ox_kernels_init(struct ox_kernels *kernels, enum ox_cpu_level level);
void ox_kernels_init_emulated(struct ox_kernels *kernels, enum ox_cpu_level level);

bool __wrap_ox_cpu_has_level(enum ox_cpu_level level)
{
    return emulating || __real_ox_cpu_has_level(level);
}

void __wrap_ox_kernels_init(struct ox_kernels *kernels, enum ox_cpu_level level)
{
    if (__real_ox_cpu_has_level(level)) {
        __real_ox_kernels_init(kernels, level);
    } else {
        ox_kernels_init_emulated(kernels, level);
    }
}
#endif

/* How far a trace may be off. */
struct limits {
    double logits;
    double hidden;
    double expert_margin;
    double block_margin;
};

/* The tower and its features, where operands are rounded. */
#define MEDIA_LIMIT 2.5e-2

static const struct limits exact_limits = {2e-4, 2e-4, 1e-3, 1e-3};
static const struct limits rounded_limits = {3e-2, 3e-2, 0.02, 0.5};

/* A safetensors file in memory. */
struct file {
    struct ox_map map;
    struct ox_safetensors tensors;
};

static bool open_file(const char *path, struct file *out)
{
    struct ox_error err = {0};
    memset(out, 0, sizeof *out);
    if (ox_map_open(path, &out->map, &err) != OX_OK ||
        ox_safetensors_parse(out->map.ptr, out->map.len, path, &out->tensors, &err) != OX_OK) {
        OK(false, "%s", err.message);
        return false;
    }
    return true;
}

static void close_file(struct file *file)
{
    ox_safetensors_fini(&file->tensors);
    ox_map_close(&file->map);
}

static const struct ox_tensor *find(const struct file *file, const char *name)
{
    return ox_safetensors_find(&file->tensors, ox_str_c(name));
}

static double f32_at(const struct ox_tensor *t, size_t i)
{
    float x;
    memcpy(&x, t->data + i * sizeof x, sizeof x);
    return (double)x;
}

static int32_t i32_at(const struct ox_tensor *t, size_t i)
{
    int32_t x;
    memcpy(&x, t->data + i * sizeof x, sizeof x);
    return x;
}

static bool same_shape(const struct ox_tensor *a, const struct ox_tensor *b)
{
    return a->dtype == b->dtype && a->n_dims == b->n_dims && memcmp(a->dims, b->dims, a->n_dims * sizeof a->dims[0]) == 0;
}

static size_t width(const struct ox_tensor *t)
{
    return t->dims[t->n_dims - 1];
}

/* Root mean square of row's difference over that of the reference's row; not a number counts as infinite. */
static double row_error(const struct ox_tensor *want, const struct ox_tensor *got, size_t row)
{
    const size_t n = width(want);
    double square = 0.0;
    double difference = 0.0;
    for (size_t i = row * n; i < (row + 1) * n; i++) {
        const double x = f32_at(want, i);
        const double d = x - f32_at(got, i);
        square += x * x;
        difference += d * d;
    }
    const double error = sqrt(difference / (double)n) / (sqrt(square / (double)n) + 1e-12);
    return isnan(error) ? (double)INFINITY : error;
}

static bool row_same(const struct ox_tensor *want, const struct ox_tensor *got, size_t row)
{
    const size_t bytes = width(want) * 4;
    return memcmp(want->data + row * bytes, got->data + row * bytes, bytes) == 0;
}

/* The tensor "<prefix><rest of name behind its dot>" of file. */
static const struct ox_tensor *companion(const struct file *file, const char *prefix, struct ox_str name)
{
    char text[64];
    const size_t dot = ox_str_find(name, ox_str_c("."), 0);
    snprintf(text, sizeof text, "%s%.*s", prefix, (int)(name.len - dot), name.ptr + dot);
    return find(file, text);
}

/* Choices: rows that differ where the reference's margin is above the limit. */
static bool check_choices(const struct file *golden, const struct ox_tensor *want, const struct ox_tensor *got,
                          const char *margins, double limit, size_t *n_differ)
{
    const struct ox_tensor *margin = companion(golden, margins, want->name);
    bool good = margin != NULL;
    for (size_t row = 0; good && row < want->len / 4 / width(want); row++) {
        if (!row_same(want, got, row)) {
            ++*n_differ;
            good = !(f32_at(margin, row) > limit);
        }
    }
    return good;
}

/* Weights of experts: only of rows with the same experts. */
static bool check_weights(const struct file *golden, const struct file *trace, const struct ox_tensor *want,
                          const struct ox_tensor *got, double limit)
{
    const struct ox_tensor *experts = companion(golden, "experts", want->name);
    const struct ox_tensor *found = companion(trace, "experts", want->name);
    bool good = experts != NULL && found != NULL;
    for (size_t row = 0; good && row < want->dims[0]; row++) {
        good = !row_same(experts, found, row) || row_error(want, got, row) <= limit;
    }
    return good;
}

static bool check_tensor(const struct file *golden, const struct file *trace, const struct ox_tensor *want,
                         const struct limits *limits, double *worst, size_t *n_differ)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)want->name.len, want->name.ptr);
    const struct ox_tensor *got = find(trace, name);
    if (got == NULL || !same_shape(want, got)) {
        NOTE("%s is missing or has another shape", name);
        return false;
    }
    if (strncmp(name, "blocks.", 7) == 0) {
        return check_choices(golden, want, got, "block_margin", limits->block_margin, n_differ);
    }
    if (strncmp(name, "experts.", 8) == 0) {
        return check_choices(golden, want, got, "expert_margin", limits->expert_margin, n_differ);
    }
    if (strncmp(name, "expert_weights.", 15) == 0) {
        return check_weights(golden, trace, want, got, limits->hidden);
    }
    if (want->dtype == OX_DTYPE_I32) {
        return memcmp(want->data, got->data, want->len) == 0;
    }
    double limit = strcmp(name, "logits") == 0 ? limits->logits : limits->hidden;
    if (strcmp(name, "tower") == 0 || strcmp(name, "features") == 0) {
        limit = fmin(limit, MEDIA_LIMIT);
    }
    double error = 0.0;
    for (size_t row = 0; row < want->len / 4 / width(want); row++) {
        error = fmax(error, row_error(want, got, row));
    }
    *worst = fmax(*worst, error);
    return error <= limit;
}

/* Every tensor of the golden file but the margins and pictures (and greedy where it is not asked for) must be in the
 * trace. */
static void compare(const char *name, const char *golden_path, const char *trace_path, const struct limits *limits,
                    bool greedy)
{
    struct file golden = {0};
    struct file trace = {0};
    double worst = 0.0;
    size_t n_differ = 0;
    size_t n_bad = 0;
    size_t n_seen = 0;
    if (open_file(golden_path, &golden) && open_file(trace_path, &trace)) {
        for (size_t i = 0; i < golden.tensors.n_tensors; i++) {
            const struct ox_tensor *want = &golden.tensors.tensors[i];
            if (ox_str_starts(want->name, ox_str_c("block_margin.")) ||
                ox_str_starts(want->name, ox_str_c("expert_margin.")) || ox_str_is(want->name, "pixels") ||
                ox_str_is(want->name, "grids") ||
                (!greedy && ox_str_is(want->name, "greedy"))) {
                continue;
            }
            n_seen++;
            if (!check_tensor(&golden, &trace, want, limits, &worst, &n_differ)) {
                NOTE("wrong: %.*s", (int)want->name.len, want->name.ptr);
                n_bad++;
            }
        }
    }
    OK(n_bad == 0 && n_seen > 8, "%s: %zu tensors, %zu wrong, worst row off by %.2g, %zu choices differ", name, n_seen,
       n_bad, worst, n_differ);
    close_file(&golden);
    close_file(&trace);
}

static bool same_bytes(const char *a, const char *b)
{
    struct ox_map x = {0};
    struct ox_map y = {0};
    const bool same = ox_map_open(a, &x, NULL) == OX_OK && ox_map_open(b, &y, NULL) == OX_OK && x.len == y.len &&
                      memcmp(x.ptr, y.ptr, x.len) == 0;
    ox_map_close(&x);
    ox_map_close(&y);
    return same;
}

static struct oxcart_engine *open_engine_at(const char *folder, int threads, const char *level)
{
    const struct oxcart_engine_options options = {
        .size = sizeof options, .model_path = folder, .n_threads = threads, .cpu_level = level};
    struct oxcart_engine *engine = NULL;
    struct ox_error err = {0};
    if (ox_engine_open(&options, &engine, &err) != OX_OK) {
        OK(false, "%s: %s", folder, err.message);
    }
    return engine;
}

static struct oxcart_engine *open_engine(const char *folder, int threads)
{
    return open_engine_at(folder, threads, "c");
}

/* The tokens of a golden file; freed with ox_free. */
static int32_t *read_ids(const char *path, size_t *n)
{
    struct file golden;
    int32_t *ids = NULL;
    if (open_file(path, &golden)) {
        const struct ox_tensor *tokens = find(&golden, "tokens");
        *n = tokens->dims[0];
        ids = ox_calloc(*n, sizeof *ids);
        for (size_t i = 0; ids != NULL && i < *n; i++) {
            ids[i] = i32_at(tokens, i);
        }
    }
    close_file(&golden);
    return ids;
}

static bool run(struct oxcart_engine *engine, struct ox_trace_options options, const char *out)
{
    struct ox_error err = {0};
    options.out = out;
    const enum ox_status status = ox_trace_run(engine, &options, &err);
    return OK(status == OX_OK, "trace, chunk %zu%s%s", options.chunk, status == OX_OK ? "" : ": ", err.message);
}

/* Any chunk, any number of threads: the same bytes as in `first`. */
static void test_chunks(const char *name, const char *folder, const struct ox_trace_options *options, const char *first)
{
    static const size_t chunks[] = {1, 3, 7, 32, 0};
    for (int threads = 1; threads <= 3; threads++) {
        struct oxcart_engine *engine = open_engine(folder, threads);
        for (size_t i = 0; engine != NULL && i < sizeof chunks / sizeof chunks[0]; i++) {
            struct ox_trace_options other = *options;
            other.chunk = chunks[i];
            if (run(engine, other, "trace_other.safetensors")) {
                OK(same_bytes(first, "trace_other.safetensors"), "%s: chunk %zu and %d threads change no byte", name,
                   chunks[i], threads);
            }
        }
        oxcart_engine_close(&engine);
    }
}

static void test_model(const char *name)
{
    char golden[4300];
    char folder[4200];
    snprintf(folder, sizeof folder, "%s/%s", tap_file("golden/trace"), name);
    snprintf(golden, sizeof golden, "%s/golden.safetensors", folder);
    struct oxcart_engine *engine = open_engine(folder, 2);
    size_t n = 0;
    int32_t *ids = read_ids(golden, &n);
    if (engine == NULL || ids == NULL) {
        return;
    }
    struct ox_trace_options options = {.ids = ids, .n_ids = n, .n_positions = 8, .n_greedy = 4, .kv = OX_KV_F32};
    if (run(engine, options, "trace_f32.safetensors")) {
        compare(name, golden, "trace_f32.safetensors", &exact_limits, true);
        test_chunks(name, folder, &options, "trace_f32.safetensors");
    }
    /* the reference's choices: the engine's own are reported, the computation hardly changes */
    options.choices = golden;
    if (run(engine, options, "trace_other.safetensors")) {
        compare("with choices", golden, "trace_other.safetensors", &exact_limits, true);
    }
    options.kv = OX_KV_BF16;
    options.n_greedy = 0;
    if (run(engine, options, "trace_bf16.safetensors")) {
        compare("cache in bf16, with choices", golden, "trace_bf16.safetensors", &rounded_limits, false);
        OK(!same_bytes("trace_f32.safetensors", "trace_bf16.safetensors"), "the cache's format makes a difference");
        test_chunks("cache in bf16", folder, &options, "trace_bf16.safetensors");
    }
    oxcart_engine_close(&engine);
    ox_free(ids);
}

/* Choices that are not the engine's own are used, and what it would have chosen is reported. */
static void test_choices(void)
{
    char golden[4300];
    char folder[4200];
    snprintf(folder, sizeof folder, "%s", tap_file("golden/trace/tiny"));
    snprintf(golden, sizeof golden, "%s/golden.safetensors", folder);
    struct oxcart_engine *engine = open_engine(folder, 1);
    size_t n = 0;
    int32_t *ids = read_ids(golden, &n);
    struct file file;
    if (engine == NULL || ids == NULL || !open_file(golden, &file)) {
        return;
    }
    /* the golden file with every row's experts of the last layer moved by one */
    uint8_t *bytes = ox_calloc(file.map.len, 1);
    memcpy(bytes, file.map.ptr, file.map.len);
    const struct ox_tensor *experts = find(&file, "experts.2");
    for (size_t row = 0; row < experts->dims[0]; row++) {
        int32_t pair[2] = {i32_at(experts, 2 * row) == 0 ? 1 : 0, 7};
        memcpy(bytes + (experts->data - file.map.ptr) + row * sizeof pair, pair, sizeof pair);
    }
    OK(ox_file_write("trace_choices.safetensors", bytes, file.map.len, NULL) == OX_OK, "write choices");
    struct ox_trace_options options = {.ids = ids, .n_ids = n, .n_positions = 8, .kv = OX_KV_F32,
                                       .choices = "trace_choices.safetensors"};
    struct file trace;
    if (run(engine, options, "trace_other.safetensors") && open_file("trace_other.safetensors", &trace)) {
        const struct ox_tensor *own = find(&trace, "experts.2");
        OK(memcmp(own->data, experts->data, experts->len) == 0, "the engine's own choice is reported");
        double low = (double)INFINITY;
        for (size_t row = 0; row < 8; row++) {
            low = fmin(low, row_error(find(&file, "logits"), find(&trace, "logits"), row));
        }
        OK(low > 1e-3, "every row of logits shows other experts (least difference %.2g)", low);
        close_file(&trace);
    }
    ox_free(bytes);
    close_file(&file);
    oxcart_engine_close(&engine);
    ox_free(ids);
}

/* Levels that compute in F32. */
static bool keeps_f32(enum ox_cpu_level level)
{
    const char *name = ox_cpu_level_name(level);
    return strcmp(name, "c") == 0 || strcmp(name, "avx2") == 0 || strcmp(name, "avx512") == 0 ||
           strcmp(name, "neon") == 0;
}

/* A golden file with pictures against a trace at every level, emulated where the processor has it not. */
static void test_pictures(const char *name, const char *folder, const char *golden, const char *media)
{
    size_t n = 0;
    int32_t *ids = read_ids(golden, &n);
    for (size_t l = 0; ids != NULL && l < OX_N_CPU_LEVELS; l++) {
        const enum ox_cpu_level level = (enum ox_cpu_level)l;
        emulating = true;
        struct oxcart_engine *engine =
            ox_cpu_has_level(level) ? open_engine_at(folder, 2, ox_cpu_level_name(level)) : NULL;
        emulating = false;
        const bool exact = keeps_f32(level);
        const struct ox_trace_options options = {.ids = ids, .n_ids = n, .n_positions = 8,
                                                 .n_greedy = exact ? 4 : 0, .kv = OX_KV_F32, .media = media,
                                                 .choices = exact ? NULL : golden};
        if (engine != NULL && run(engine, options, "trace_f32.safetensors")) {
            char label[64];
            snprintf(label, sizeof label, "%s at level %s", name, ox_cpu_level_name(level));
            compare(label, golden, "trace_f32.safetensors", exact ? &exact_limits : &rounded_limits, exact);
        }
        if (engine != NULL && level == OX_CPU_C) {
            test_chunks(name, folder, &options, "trace_f32.safetensors");
        }
        oxcart_engine_close(&engine);
    }
    ox_free(ids);
}

/* Copy a file of folder into the folder `to`. */
static void copy_file(const char *folder, const char *file, const char *to, const char *find_text, const char *replace)
{
    char path[4300];
    struct ox_buf text = {0};
    struct ox_buf changed = {0};
    snprintf(path, sizeof path, "%s/%s", folder, file);
    OK(ox_file_read(path, (size_t)64 << 20, &text, NULL) == OX_OK, "read %s", file);
    const struct ox_str all = ox_buf_str(&text);
    const size_t at = find_text != NULL ? ox_str_find(all, ox_str_c(find_text), 0) : all.len;
    OK(find_text == NULL || at < all.len, "%s has what is changed", file);
    ox_buf_add(&changed, all.ptr, at);
    if (at < all.len) {
        ox_buf_add_c(&changed, replace);
        ox_buf_add(&changed, all.ptr + at + strlen(find_text), all.len - at - strlen(find_text));
    }
    snprintf(path, sizeof path, "%s/%s", to, file);
    OK(ox_file_write(path, changed.ptr, changed.len, NULL) == OX_OK, "write %s", path);
    ox_buf_fini(&text);
    ox_buf_fini(&changed);
}

/* The tower: pictures and a clip, with the default segments and with segments of two temporal patches. */
static void test_media(void)
{
    char folder[4200];
    char golden[4300];
    char segments[4300];
    snprintf(folder, sizeof folder, "%s", tap_file("golden/trace/vision"));
    snprintf(golden, sizeof golden, "%s/golden.safetensors", folder);
    snprintf(segments, sizeof segments, "%s/golden_segments.safetensors", folder);
    test_pictures("vision", folder, golden, golden);
    OK(mkdir("trace_segments", 0777) == 0 || errno == EEXIST, "make a folder");
    copy_file(folder, "model.safetensors", "trace_segments", NULL, NULL);
    copy_file(folder, "generation_config.json", "trace_segments", NULL, NULL);
    copy_file(folder, "config.json", "trace_segments", "\"rope_mode\"",
              "\"vision_segment_max_frames\": 2, \"rope_mode\"");
    test_pictures("segments of two", "trace_segments", segments, golden);
}

/* What a trace with media refuses. */
static void test_media_refusals(void)
{
    static const char *const files[] = {"config.json", "generation_config.json", "model.safetensors"};
    char golden[4300];
    char tiny[4300];
    struct ox_error err = {0};
    snprintf(golden, sizeof golden, "%s", tap_file("golden/trace/vision/golden.safetensors"));
    snprintf(tiny, sizeof tiny, "%s", tap_file("golden/trace/tiny/golden.safetensors"));
    struct oxcart_engine *engine = open_engine("trace_segments", 1);
    struct oxcart_engine *text_only = open_engine(tap_file("golden/trace/tiny"), 1);
    size_t n = 0;
    int32_t *ids = read_ids(golden, &n);
    if (engine == NULL || text_only == NULL || ids == NULL) {
        return;
    }
    struct ox_trace_options options = {.ids = ids, .n_ids = n - 1, .n_positions = 1, .media = golden,
                                       .out = "trace_no.safetensors"};
    OK(ox_trace_run(engine, &options, &err) == OX_OK, "text behind the last picture is not needed: %s", err.message);
    options.n_ids = 10;
    OK(ox_trace_run(engine, &options, &err) == OX_E_ARG, "fewer placeholders than features: %s", err.message);
    options.n_ids = n;
    options.media = tiny;
    OK(ox_trace_run(engine, &options, &err) == OX_E_SHAPE, "a file without pictures: %s", err.message);
    options.media = "no_such_file";
    OK(ox_trace_run(engine, &options, &err) == OX_E_IO, "no file: %s", err.message);
    const int32_t few[] = {1, 2};
    options.ids = few;
    options.n_ids = 2;
    options.media = golden;
    OK(ox_trace_run(text_only, &options, &err) == OX_E_SHAPE, "a model without a tower: %s", err.message);
    oxcart_engine_close(&engine);
    oxcart_engine_close(&text_only);
    ox_free(ids);
    unlink("trace_no.safetensors");
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "trace_segments/%s", files[i]);
        unlink(path);
    }
    rmdir("trace_segments");
}

/* What a trace refuses. */
static void test_refusals(void)
{
    char folder[4200];
    snprintf(folder, sizeof folder, "%s", tap_file("golden/trace/tiny"));
    struct oxcart_engine *engine = open_engine(folder, 1);
    struct ox_error err = {0};
    if (engine == NULL) {
        return;
    }
    const int32_t too_high[] = {1, 160};
    const int32_t negative[] = {-1};
    const int32_t good[] = {1, 2, 3};
    struct ox_trace_options options = {.ids = too_high, .n_ids = 2, .n_positions = 1, .out = "trace_no.safetensors"};
    OK(ox_trace_run(engine, &options, &err) == OX_E_ARG, "an id beyond the vocabulary: %s", err.message);
    options.ids = negative;
    options.n_ids = 1;
    OK(ox_trace_run(engine, &options, &err) == OX_E_ARG, "a negative id: %s", err.message);
    options.n_ids = 0;
    OK(ox_trace_run(engine, &options, &err) == OX_E_ARG, "no ids: %s", err.message);
    options.ids = good;
    options.n_ids = 3;
    options.choices = "trace_f32.safetensors"; /* of another length */
    OK(ox_trace_run(engine, &options, &err) == OX_E_SHAPE, "choices for another prompt: %s", err.message);
    options.choices = "no_such_file";
    OK(ox_trace_run(engine, &options, &err) == OX_E_IO, "no choices: %s", err.message);
    options.choices = NULL;
    options.out = "no_such_folder/trace.safetensors";
    OK(ox_trace_run(engine, &options, &err) == OX_E_IO, "no place to write: %s", err.message);
    OK(!ox_file_exists("trace_no.safetensors"), "nothing was written");
    options.out = "trace_other.safetensors";
    OK(ox_trace_run(engine, &options, &err) == OX_OK, "fewer tokens than positions");
    oxcart_engine_close(&engine);
}

int main(void)
{
    static const char *const files[] = {"trace_f32.safetensors", "trace_bf16.safetensors", "trace_other.safetensors",
                                        "trace_choices.safetensors"};
    test_model("tiny");
    test_model("tiny_mxfp8");
    test_model("odd");
    test_model("onekv");
    test_media();
    test_media_refusals();
    test_choices();
    test_refusals();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        unlink(files[i]);
    }
    return tap_done();
}
