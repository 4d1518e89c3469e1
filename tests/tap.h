/* SPDX-License-Identifier: Apache-2.0
 *
 * What a test program prints: the Test Anything Protocol, one line a check. A check that fails says where it stands
 * and what it found; a program that cannot run here says why and exits 77.
 */
#ifndef OX_TESTS_TAP_H
#define OX_TESTS_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* 1 in a build with AddressSanitizer or ThreadSanitizer, for the few checks that such a build cannot pass. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TAP_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TAP_SANITIZED 1
#endif
#endif
#ifndef TAP_SANITIZED
#define TAP_SANITIZED 0
#endif

/* Processor time, in ms, of the children of this process that have ended: unlike the clock's, a busy machine does not
 * make it longer. */
static inline double tap_children_ms(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-3;
}

static int tap_n_run;
static int tap_n_failed;

/* One check; returns its condition, so that what follows can depend on it. */
static inline bool tap_ok(bool good, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static inline bool tap_ok(bool good, const char *file, int line, const char *format, ...)
{
    char name[512];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    for (char *p = name; *p != '\0'; p++) {
        if (*p == '\n' || *p == '#') {
            *p = ' ';
        }
    }
    tap_n_run++;
    printf("%sok %d - %s\n", good ? "" : "not ", tap_n_run, name);
    if (!good) {
        tap_n_failed++;
        printf("# failed at %s:%d\n", file, line);
    }
    fflush(stdout);
    return good;
}

#define OK(condition, ...) tap_ok((condition), __FILE__, __LINE__, __VA_ARGS__)
#define IS_INT(found, expected, name) tap_is_int((intmax_t)(found), (intmax_t)(expected), __FILE__, __LINE__, (name))
#define IS_STR(found, expected, name) tap_is_str((found), (expected), __FILE__, __LINE__, (name))

static inline bool tap_is_int(intmax_t found, intmax_t expected, const char *file, int line, const char *name)
{
    return tap_ok(found == expected, file, line, "%s: %jd, expected %jd", name, found, expected);
}

static inline bool tap_is_str(const char *found, const char *expected, const char *file, int line, const char *name)
{
    return tap_ok(strcmp(found, expected) == 0, file, line, "%s: \"%s\", expected \"%s\"", name, found, expected);
}

/* One check cannot be made here. */
#define SKIP(name, reason) (tap_n_run++, printf("ok %d - %s # SKIP %s\n", tap_n_run, (name), (reason)), (void)fflush(stdout))

/* Print a remark that is no check. */
#define NOTE(...) (printf("# "), printf(__VA_ARGS__), printf("\n"), (void)fflush(stdout))

/* The whole program cannot run here. */
static inline void tap_skip_all(const char *reason)
{
    printf("1..0 # SKIP %s\n", reason);
    exit(77);
}

/* Last line of main: return tap_done(); */
static inline int tap_done(void)
{
    printf("1..%d\n", tap_n_run);
    return tap_n_failed == 0 ? 0 : 1;
}

/* The file `name` of the tests' folder: $srcdir is set by make check. The result is static, for one use at a time. */
static inline const char *tap_file(const char *name)
{
    static char path[4096];
    const char *top = getenv("abs_top_srcdir");
    snprintf(path, sizeof path, "%s/tests/%s", top != NULL ? top : ".", name);
    return path;
}

#endif
