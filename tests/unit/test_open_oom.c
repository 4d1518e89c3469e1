/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a checkpoint with each allocation failing in turn: the status says so, nothing is lost, nothing crashes.
 */
#include "tests/bind_model.h"
#include "tests/mkmodel.h"
#include "tests/oom.h"
#include "tests/tap.h"

#define FOLDER "test-open-oom.tmp"

static void check(enum mk_spelling spelling, size_t n_shards)
{
    struct mk_model_options o = mk_model_default();
    o.layers = 2;
    o.hidden = 32;
    o.vocab = 40;
    o.experts = 2;
    o.spelling = spelling;
    o.n_shards = n_shards;
    if (!OK(mk_model(FOLDER, &o) == 0, "model in %zu files", n_shards)) {
        return;
    }
    long n = 0;
    bool failed = true;
    bool good = true;
    while (failed && good) {
        struct bound_model m;
        struct ox_error err;
        memset(&err, 0, sizeof err);
        n++;
        oom_arm(n);
        const enum ox_status status = bind_model(FOLDER, &m, &err);
        failed = oom_disarm();
        good = status == (failed ? OX_E_NOMEM : OX_OK);
        if (!good) {
            NOTE("allocation %ld: %s, %s", n, ox_status_name(status), err.message);
        }
        if (status == OX_OK) {
            close_model(&m);
        }
    }
    OK(good && n > 10, "each of %ld allocations can fail", n - 1);
}

int main(void)
{
    check(MK_RELEASED, 1);
    check(MK_RESAVED, 3);
    mk_remove_folder(FOLDER);
    return tap_done();
}
