/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel checker: walks the CPU levels upward and checks every kernel whose pointer a level changed, the C level's
 * first of all, against a double-precision formula written differently; EXACT kernels also against the C level's bits.
 * Each x86 level is also emulated (tests/simd/emulate/), so that none is left untested on a machine that has it not; where
 * the processor has it, both must give the same bits.
 *
 *     check_simd [--seed=N] [--kernel=NAME] [--trials=N] [--native]
 *
 * --native: no emulated levels, for a processor that is emulated itself.
 */
#include <setjmp.h>
#include <signal.h>
#include <time.h>

#include "tests/simd/check.h"
#include "tests/tap.h"

#define SHOWN_FAILURES 3
#define DEFAULT_TRIALS 250
#define BUFFER_BYTES ((size_t)4 << 20)

static const struct {
    const char *name;
    enum check_class class;
    check_function function;
} entries[] = {
#define OX_KERNEL(name, type, parameters, class) {#name, CHECK_##class, check_##name},
#include "simd/kernels.def"
#undef OX_KERNEL
};

#define N_ENTRIES (sizeof entries / sizeof entries[0])

/* Partial sums of a level's products, at least: a lane has ceil(n / lanes) terms. The vector levels keep a score of
 * attention in one lane: keys stand side by side there. Levels that round operands to BF16 multiply with units that take
 * subnormal numbers for 0. */
static const struct {
    size_t products;
    size_t scores;
    bool rounds;
    double flush;
} level_traits[OX_N_CPU_LEVELS] = {
    [OX_CPU_C] = {16, 16, false, 0.0},
#if defined(__x86_64__)
    [OX_CPU_AVX2] = {8, 1, false, 0.0},
    [OX_CPU_AVX512] = {16, 1, false, 0.0},
    [OX_CPU_AVX512BF16] = {16, 1, true, 0x1p-126},
    [OX_CPU_AMX] = {1, 1, true, 0x1p-126},
#elif defined(__aarch64__)
    [OX_CPU_NEON] = {4, 1, false, 0.0},
    [OX_CPU_NEONBF16] = {1, 1, true, 0x1p-126},
#endif
};

/* How a level's kernels are come by. */
struct way {
    const char *name;
    void (*init)(struct ox_kernels *kernels, enum ox_cpu_level level);
};

static const struct way native = {"native", ox_kernels_init};

#if defined(OX_HAVE_EMULATION)
/* simd/kernels.c once more, over the emulated kernels. */
void ox_kernels_init_emulated(struct ox_kernels *kernels, enum ox_cpu_level level);
static const struct way emulated = {"emulated", ox_kernels_init_emulated};
#else
static const struct way emulated = {"emulated", NULL};
#endif

/* What was asked for. */
struct request {
    uint64_t seed;
    const char *only; /* one kernel, or NULL */
    uint64_t trials;
    bool only_native;
};

static sigjmp_buf crash_place;

static void on_crash(int signal_number)
{
    siglongjmp(crash_place, signal_number);
}

void check_fail(struct check *check, const char *format, ...)
{
    check->n_failed++;
    if (check->n_failed > SHOWN_FAILURES) {
        return;
    }
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    NOTE("%s, trial %zu: %s", check->name, check->n_trials, text);
}

/* A bit pattern joins the digest. */
static void digest_word(struct check *check, uint32_t word)
{
    const bool nan = (word & 0x7FFFFFFFU) > 0x7F800000U;
    check->digest = (check->digest ^ (nan ? 0x7FC00000U : word)) * UINT64_C(0x9E3779B97F4A7C15);
    check->digest ^= check->digest >> 29;
}

static void digest_bytes(struct check *check, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
        uint32_t word = 0;
        memcpy(&word, p + i, len - i < sizeof word ? len - i : sizeof word);
        digest_word(check, word);
    }
}

void check_begin(struct check *check)
{
    for (size_t i = 0; i < check->n_buffers; i++) {
        digest_bytes(check, check->buffer[i], check->buffer_len[i]);
        if (!guard_intact(&check->buffers[i])) {
            check_fail(check, "bytes beside buffer %zu were overwritten", i);
        }
    }
    check->n_buffers = 0;
    check->n_trials++;
}

void *check_bytes(struct check *check, size_t len)
{
    OX_CHECK(check->n_buffers < CHECK_BUFFERS && len <= BUFFER_BYTES);
    const size_t i = check->n_buffers++;
    check->buffer_len[i] = len;
    check->buffer[i] = guard_take(&check->buffers[i], len, check_below(check, 4) != 0);
    return check->buffer[i];
}

float *check_floats(struct check *check, size_t n)
{
    return check_bytes(check, n * sizeof(float));
}

void *check_room(struct check *check, size_t len)
{
    OX_CHECK(check->n_buffers < CHECK_BUFFERS && len + 63 <= BUFFER_BYTES);
    return guard_take(&check->buffers[check->n_buffers++], (len + 63) / 64 * 64, true);
}

size_t check_below(struct check *check, size_t n)
{
    return (size_t)ox_rng_below(&check->rng, n);
}

size_t check_length(struct check *check)
{
    static const size_t own[] = {64, 128, 512, 513, 1024, 3072, 6144, 8192, 12288};
    if (check_below(check, 8) == 0) {
        return own[check_below(check, sizeof own / sizeof own[0])];
    }
    return check_below(check, 258);
}

/* Sum of uniform numbers: near enough to normal. */
double check_normal(struct check *check)
{
    double sum = -6.0;
    for (int i = 0; i < 12; i++) {
        sum += ox_rng_double(&check->rng);
    }
    return sum;
}

static float one_value(struct check *check, enum check_fill fill, float max, size_t i)
{
    const float sign = check_below(check, 2) == 0 ? 1.0F : -1.0F;
    switch (fill) {
    case FILL_ZERO:
        return sign * 0.0F;
    case FILL_MAX:
        return max;
    case FILL_ALTERNATING:
        return i % 2 == 0 ? max : -max;
    case FILL_DENORMAL:
        return sign * ox_f32_from_bits((uint32_t)check_below(check, 0x800000));
    case FILL_WIDE:
        return (float)ldexp(check_normal(check), (int)check_below(check, 60) - 40);
    case FILL_SPECIAL:
        if (check_below(check, 16) == 0) {
            return check_below(check, 3) == 0 ? NAN : sign * INFINITY;
        }
        return (float)check_normal(check);
    case FILL_NORMAL:
    case N_FILLS:
    default:
        return (float)check_normal(check);
    }
}

void check_fill(struct check *check, enum check_fill fill, float max, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = one_value(check, fill, max, i);
    }
}

bool check_same(float a, float b)
{
    return (isnan(a) && isnan(b)) || ox_bits_from_f32(a) == ox_bits_from_f32(b);
}

bool check_near(struct check *check, float found, double exact, double bound, size_t i)
{
    bool good;
    if (isnan(exact)) {
        good = isnan(found);
    } else if (isinf(exact)) {
        good = (double)found == exact;
    } else {
        good = fabs((double)found - exact) <= bound;
    }
    if (!good) {
        check_fail(check, "place %zu: %.9g, exact %.17g, off by %.3g, bound %.3g", i, (double)found, exact,
                   fabs((double)found - exact), bound);
    }
    return good;
}

bool check_is_canary(const float *x, size_t n)
{
    float canary;
    memset(&canary, GUARD_PATTERN, sizeof canary);
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&x[i], &canary, sizeof canary) != 0) {
            return false;
        }
    }
    return true;
}

/* Did `level` bring this kernel a function of its own? */
static bool changed(const struct ox_kernels *below, const struct ox_kernels *here, size_t i)
{
    bool differs[N_ENTRIES];
    size_t n = 0;
#define OX_KERNEL(name, type, parameters, class) differs[n++] = below->name != here->name;
#include "simd/kernels.def"
#undef OX_KERNEL
    return differs[i];
}

static void run_one(struct check *check, check_function function, uint64_t seed, const char *level, const char *name,
                    size_t trials)
{
    struct sigaction action = {.sa_handler = on_crash};
    struct sigaction old[3];
    static const int signals[3] = {SIGSEGV, SIGBUS, SIGILL};
    check->name = name;
    check->n_failed = 0;
    check->n_trials = 0;
    check->n_buffers = 0;
    check->digest = 0;
    ox_rng_init(&check->rng, seed ^ ox_str_hash(ox_str_c(name)));
    for (size_t i = 0; i < 3; i++) {
        sigaction(signals[i], &action, &old[i]);
    }
    const int crash = sigsetjmp(crash_place, 1);
    if (crash == 0) {
        while (check->n_trials < trials && check->n_failed == 0) {
            function(check);
        }
        check_begin(check);
    }
    for (size_t i = 0; i < 3; i++) {
        sigaction(signals[i], &old[i], NULL);
    }
    if (crash != 0) {
        OK(false, "%s at level %s: %s in trial %zu", name, level, strsignal(crash), check->n_trials);
    } else {
        OK(check->n_failed == 0, "%s at level %s, %zu trials", name, level, check->n_trials - 1);
    }
}

/* Every kernel that `level` brings; the digests of their buffers. */
static void run_level(struct check *check, const struct request *request, const struct way *way,
                      enum ox_cpu_level level, uint64_t *digests)
{
    static struct ox_kernels below;
    static struct ox_kernels here;
    char label[64];
    snprintf(label, sizeof label, "%s (%s)", ox_cpu_level_name(level), way->name);
    NOTE("level %s: %s", ox_cpu_level_name(level), way->name);
    way->init(&below, level == OX_CPU_C ? level : (enum ox_cpu_level)(level - 1));
    way->init(&here, level);
    check->kernels = &here;
    check->lanes = level_traits[level].products;
    check->score_lanes = level_traits[level].scores;
    check->rounds = level_traits[level].rounds;
    check->flush = level_traits[level].flush;
    for (size_t i = 0; i < N_ENTRIES; i++) {
        if ((level == OX_CPU_C || changed(&below, &here, i)) &&
            (request->only == NULL || strcmp(request->only, entries[i].name) == 0)) {
            run_one(check, entries[i].function, request->seed, label, entries[i].name, (size_t)request->trials);
            digests[i] = check->digest;
        }
    }
}

static void walk(struct check *check, const struct request *request)
{
    static struct ox_kernels c;
    ox_kernels_init(&c, OX_CPU_C);
    check->lower = &c;
    for (size_t l = 0; l < OX_N_CPU_LEVELS; l++) {
        const enum ox_cpu_level level = (enum ox_cpu_level)l;
        const bool here = ox_cpu_has_level(level);
        const bool again = level != OX_CPU_C && emulated.init != NULL && !request->only_native;
        uint64_t real[N_ENTRIES] = {0};
        uint64_t model[N_ENTRIES] = {0};
        if (here) {
            run_level(check, request, &native, level, real);
        }
        if (again) {
            run_level(check, request, &emulated, level, model);
        }
        if (!here && !again && !request->only_native) {
            SKIP(ox_cpu_level_name(level), "neither on this machine nor emulated (x86-64 and libsimde-dev)");
        }
        for (size_t i = 0; i < N_ENTRIES && here && again; i++) {
            if (real[i] != 0) {
                OK(real[i] == model[i], "%s at level %s: emulation has the processor's bits", entries[i].name,
                   ox_cpu_level_name(level));
            }
        }
    }
    if (request->only == NULL || strcmp(request->only, "exp") == 0) {
        run_one(check, check_exp, request->seed, "c", "exp", 1);
    }
}

int main(int argc, char **argv)
{
    struct request request = {.seed = (uint64_t)getpid(), .trials = DEFAULT_TRIALS};
    static struct check check;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) == 0) {
        request.seed ^= (uint64_t)now.tv_nsec << 20;
    }
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--kernel=", 9) == 0) {
            request.only = argv[i] + 9;
        } else if (strcmp(argv[i], "--native") == 0) {
            request.only_native = true;
        } else if (!(strncmp(argv[i], "--seed=", 7) == 0 && ox_str_to_u64(ox_str_c(argv[i] + 7), &request.seed)) &&
                   !(strncmp(argv[i], "--trials=", 9) == 0 && ox_str_to_u64(ox_str_c(argv[i] + 9), &request.trials))) {
            fprintf(stderr, "usage: check_simd [--seed=N] [--kernel=NAME] [--trials=N] [--native]\n");
            return 2;
        }
    }
    NOTE("--seed=%" PRIu64, request.seed);
    for (size_t i = 0; i < CHECK_BUFFERS; i++) {
        if (!guard_init(&check.buffers[i], BUFFER_BYTES)) {
            tap_skip_all("no memory for guarded buffers");
        }
    }
    walk(&check, &request);
    for (size_t i = 0; i < CHECK_BUFFERS; i++) {
        guard_fini(&check.buffers[i]);
    }
    return tap_done();
}
