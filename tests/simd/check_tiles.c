/* SPDX-License-Identifier: Apache-2.0
 *
 * The software tiles (emulate/tiles.h): against a computation in double, against what the manual says about order and
 * subnormals, for every fault; and against the processor's tiles where that has them, bit by bit.
 *
 *     check_tiles [SEED]
 */
#include <cpuid.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/number.h"
#include "base/rng.h"
#include "base/str.h"
#include "tests/simd/emulate/tiles.h"
#include "tests/simd/try.h"
#include "tests/tap.h"

#define N_TRIALS 500

/* One product: M x N from K pairs. */
struct product {
    struct ox_tile_config config;
    uint16_t a[16][32];
    uint16_t b[16][32];
    float c[16][16];
    float alone[16][16];
};

static void shape(struct product *p, size_t M, size_t N, size_t K)
{
    memset(p, 0, sizeof *p);
    p->config.palette = 1;
    p->config.rows[0] = (uint8_t)M;
    p->config.colsb[0] = (uint16_t)(4 * N);
    p->config.rows[1] = (uint8_t)M;
    p->config.colsb[1] = (uint16_t)(4 * K);
    p->config.rows[2] = (uint8_t)K;
    p->config.colsb[2] = (uint16_t)(4 * N);
}

static void emulate(struct product *p)
{
    ox_try_tiles_amx_emulated(&p->config, p->a, p->b, p->c[0], p->alone[0]);
}

static uint16_t bf16(float x)
{
    return ox_bf16_from_f32(x).bits;
}

static double value(uint16_t bits)
{
    return (double)ox_f32_from_bits((uint32_t)bits << 16);
}

static void fill(struct ox_rng *rng, struct product *p, bool wild)
{
    shape(p, 1 + (size_t)ox_rng_below(rng, 16), 1 + (size_t)ox_rng_below(rng, 16), 1 + (size_t)ox_rng_below(rng, 16));
    for (size_t i = 0; i < 16; i++) {
        for (size_t j = 0; j < 32; j++) {
            const bool any = wild && ox_rng_below(rng, 8) == 0;
            p->a[i][j] = any ? (uint16_t)ox_rng_next(rng) : bf16((float)(ox_rng_double(rng) - 0.5));
            p->b[i][j] = any ? (uint16_t)(ox_rng_next(rng) & 0x80FFU) : bf16((float)(ox_rng_double(rng) - 0.5));
        }
        for (size_t j = 0; j < 16; j++) {
            const bool any = wild && ox_rng_below(rng, 8) == 0;
            p->c[i][j] = any ? ox_f32_from_bits((uint32_t)ox_rng_next(rng)) : (float)(ox_rng_double(rng) - 0.5);
        }
    }
}

/* |found - exact| within what K fused steps a chain and two additions may lose; rows and columns beyond the shape stay. */
static void check_double(struct ox_rng *rng)
{
    static struct product p;
    static struct product before;
    size_t n_wrong = 0;
    for (size_t trial = 0; trial < N_TRIALS; trial++) {
        fill(rng, &p, false);
        before = p;
        emulate(&p);
        const size_t K = p.config.colsb[1] / 4U;
        for (size_t m = 0; m < 16; m++) {
            for (size_t n = 0; n < 16; n++) {
                double sum = 0.0;
                double magnitude = 0.0;
                if (m >= p.config.rows[0] || n >= p.config.colsb[0] / 4U) {
                    n_wrong += p.c[m][n] != before.c[m][n] || p.alone[m][n] != 0.0F;
                    continue;
                }
                for (size_t k = 2 * K; k > 0; k--) {
                    const double product = value(p.a[m][k - 1]) * value(p.b[(k - 1) / 2][2 * n + (k - 1) % 2]);
                    sum += product;
                    magnitude += fabs(product);
                }
                const double bound = ((double)K + 2.0) * 0x1p-24 * (magnitude + fabs((double)before.c[m][n]));
                n_wrong += !(fabs((double)p.alone[m][n] - sum) <= bound);
                n_wrong += !(fabs((double)p.c[m][n] - (sum + (double)before.c[m][n])) <= bound);
            }
        }
    }
    OK(n_wrong == 0, "%zu of %d products in all shapes are not those in double", n_wrong, N_TRIALS);
}

static void check_manual(void)
{
    static struct product p;
    shape(&p, 1, 1, 2);
    p.a[0][0] = bf16(0x1p24F);
    p.a[0][1] = bf16(1.0F);
    p.a[0][2] = bf16(-0x1p24F);
    p.a[0][3] = bf16(1.0F);
    p.b[0][0] = p.b[0][1] = p.b[1][0] = p.b[1][1] = bf16(1.0F);
    emulate(&p);
    OK(p.alone[0][0] == 2.0F, "even and odd elements have sums of their own");
    shape(&p, 1, 1, 1);
    p.a[0][0] = p.a[0][1] = p.b[0][0] = p.b[0][1] = bf16(1.0F);
    p.c[0][0] = 0x1p24F;
    emulate(&p);
    OK(p.c[0][0] == 0x1p24F + 2.0F, "what was there is added last");
    shape(&p, 1, 1, 1);
    p.a[0][0] = 0x7F; /* subnormal */
    p.b[0][0] = bf16(0x1p127F);
    p.a[0][1] = bf16(0x1p-70F);
    p.b[0][1] = bf16(0x1p-60F);
    p.c[0][0] = 0x1p-130F;
    emulate(&p);
    OK(p.c[0][0] == 0.0F && p.alone[0][0] == 0.0F, "subnormals are zeros");
}

static void *other_thread(void *config)
{
    emulate_tile_storeconfig(config);
    return NULL;
}

static void check_threads(void)
{
    struct ox_tile_config config = {.palette = 1, .rows = {1}, .colsb = {4}};
    struct ox_tile_config here;
    struct ox_tile_config there;
    pthread_t thread;
    emulate_tile_loadconfig(&config);
    if (pthread_create(&thread, NULL, other_thread, &there) != 0) {
        OK(false, "no thread");
        return;
    }
    pthread_join(thread, NULL);
    emulate_tile_storeconfig(&here);
    OK(memcmp(&here, &config, sizeof here) == 0, "the configuration is stored as it was loaded");
    OK(there.palette == 0 && there.rows[0] == 0, "another thread has tiles of its own");
    emulate_tile_loadconfig(&(const struct ox_tile_config){.palette = 0});
    emulate_tile_storeconfig(&here);
    OK(here.palette == 0 && here.rows[0] == 0, "released tiles have no configuration");
}

/* Does the product end the program? */
static bool faults(struct product *p)
{
    int status = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        emulate(p);
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void check_faults(void)
{
    static struct product p;
    shape(&p, 16, 16, 16);
    OK(!faults(&p), "the largest tiles do not fault");
    p.config.palette = 2;
    OK(faults(&p), "palette 2 faults");
    shape(&p, 16, 16, 16);
    p.config.reserved[3] = 1;
    OK(faults(&p), "reserved bytes fault");
    shape(&p, 16, 16, 16);
    p.config.rows[0] = 17;
    OK(faults(&p), "seventeen rows fault");
    shape(&p, 16, 16, 16);
    p.config.colsb[0] = 65;
    OK(faults(&p), "65 bytes fault");
    shape(&p, 16, 16, 16);
    p.config.rows[7] = 1;
    OK(faults(&p), "rows without columns fault");
    shape(&p, 16, 16, 16);
    p.config.rows[8] = 1;
    p.config.colsb[8] = 4;
    OK(faults(&p), "a ninth tile faults");
    shape(&p, 16, 16, 16);
    p.config.rows[2] = p.config.rows[0] = 0;
    p.config.colsb[2] = p.config.colsb[0] = 0;
    OK(faults(&p), "an unconfigured tile faults");
    shape(&p, 16, 16, 16);
    p.config.rows[2] = 8;
    OK(faults(&p), "shapes that do not fit fault");
    shape(&p, 16, 16, 16);
    p.config.start_row = 16;
    OK(faults(&p), "a first row beyond the tile faults");
}

/* AMX-TILE and AMX-BF16, saved by the operating system, which also lets this process use it (arch_prctl
 * ARCH_REQ_XCOMP_PERM for the tile data, component 18). */
static bool has_amx(void)
{
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (edx & 0x01400000U) != 0x01400000U) {
        return false;
    }
    return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

static void check_processor(struct ox_rng *rng)
{
    static struct product p;
    static struct product real;
    size_t n_wrong = 0;
    if (!has_amx()) {
        SKIP("tiles against the processor", "no AMX on this machine");
        return;
    }
    for (size_t trial = 0; trial < 20 * N_TRIALS; trial++) {
        fill(rng, &p, trial % 2 == 1);
        real = p;
        emulate(&p);
        ox_try_tiles_amx(&real.config, real.a, real.b, real.c[0], real.alone[0]);
        for (size_t i = 0; i < 256; i++) {
            const float found[2] = {p.c[i / 16][i % 16], p.alone[i / 16][i % 16]};
            const float expected[2] = {real.c[i / 16][i % 16], real.alone[i / 16][i % 16]};
            for (size_t j = 0; j < 2; j++) {
                n_wrong += ox_bits_from_f32(found[j]) != ox_bits_from_f32(expected[j]) &&
                           !(isnan(found[j]) && isnan(expected[j]));
            }
        }
    }
    OK(n_wrong == 0, "tiles against the processor: %zu numbers differ", n_wrong);
}

int main(int argc, char **argv)
{
    uint64_t seed = (uint64_t)getpid();
    struct ox_rng rng;
    if (argc > 1 && !ox_str_to_u64(ox_str_c(argv[1]), &seed)) {
        fprintf(stderr, "usage: check_tiles [SEED]\n");
        return 2;
    }
    NOTE("seed %" PRIu64, seed);
    ox_rng_init(&rng, seed);
    check_double(&rng);
    check_manual();
    check_threads();
    check_faults();
    check_processor(&rng);
    return tap_done();
}
