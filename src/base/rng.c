/* SPDX-License-Identifier: Apache-2.0
 *
 * xoshiro256** and the kernel's random bytes.
 */
#include "base/rng.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/str.h"

static uint64_t rotate_left(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

void ox_rng_init(struct ox_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        rng->state[i] = z ^ (z >> 31);
    }
}

uint64_t ox_rng_next(struct ox_rng *rng)
{
    uint64_t *s = rng->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double ox_rng_double(struct ox_rng *rng)
{
    return (double)(ox_rng_next(rng) >> 11) * 0x1p-53;
}

uint64_t ox_rng_below(struct ox_rng *rng, uint64_t n)
{
    const uint64_t reject_below = (0 - n) % n;
    uint64_t x = ox_rng_next(rng);
    while (x < reject_below) {
        x = ox_rng_next(rng);
    }
    return x % n;
}

int ox_rng_secret(void *p, size_t n)
{
    unsigned char *at = p;
    while (n > 0) {
        const ssize_t got = getrandom(at, n, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -1;
        }
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

int ox_rng_id(const char *prefix, char *id, size_t id_bytes)
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t secret[64];
    size_t used = sizeof secret;
    size_t n = strlen(prefix);
    memcpy(id, prefix, n);
    while (n < id_bytes - 1) {
        if (used == sizeof secret) {
            if (ox_rng_secret(secret, sizeof secret) != 0) {
                return -1;
            }
            used = 0;
        }
        const uint8_t byte = secret[used++];
        if (byte < 248) { /* 4 * 62: every letter equally often */
            id[n++] = letters[byte % 62];
        }
    }
    id[n] = '\0';
    ox_wipe(secret, sizeof secret);
    return 0;
}
