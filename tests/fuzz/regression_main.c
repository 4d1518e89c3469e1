/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target without a fuzzer: over every file of the folders and files named as arguments, or, without any,
 * of tests/fuzz/seeds/NAME, where the program is called fuzz_NAME. One TAP check a file; a broken invariant ends the
 * program, which the TAP driver reports as a missing plan.
 */
#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>

#include "tests/tap.h"

#define MAX_INPUT_BYTES (16L << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_bytes(const char *name, const uint8_t *data, size_t size)
{
    /* A copy of exactly this size, so that AddressSanitizer sees each byte read too far. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        OK(false, "%s: out of memory", name);
        return;
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    printf("# %s\n", name);
    fflush(stdout);
    const int status = LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    OK(status == 0 || status == -1, "%s (%zu bytes)", name, size);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        size = ftell(file);
        rewind(file);
    }
    if (size >= 0 && size <= MAX_INPUT_BYTES) {
        data = malloc((size_t)size + 1);
    }
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    if (data != NULL && fread(data, 1, (size_t)size, file) == (size_t)size) {
        run_bytes(name, data, (size_t)size);
    } else {
        OK(false, "%s: cannot be read", path);
    }
    free(data);
    if (file != NULL) {
        fclose(file);
    }
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_path(const char *path)
{
    struct dirent **entries = NULL;
    struct stat st;
    if (stat(path, &st) != 0) {
        OK(false, "%s: is not there", path);
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    const int n = scandir(path, &entries, NULL, compare_names);
    OK(n > 2, "%s holds seeds", path);
    for (int i = 0; i < n; i++) {
        char below[4096];
        if (entries[i]->d_name[0] != '.') {
            snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
            run_path(below);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    static const uint8_t zeros[64];
    run_bytes("no bytes", zeros, 0);
    run_bytes("one zero", zeros, 1);
    run_bytes("64 zeros", zeros, sizeof zeros);
    for (int i = 1; i < argc; i++) {
        run_path(argv[i]);
    }
    if (argc < 2) {
        const char *base = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
        const char *name = strstr(base, "fuzz_");
        char seeds[512];
        snprintf(seeds, sizeof seeds, "fuzz/seeds/%s", name != NULL ? name + 5 : base);
        char folder[4096];
        snprintf(folder, sizeof folder, "%s", tap_file(seeds));
        run_path(folder);
    }
    return tap_done();
}
