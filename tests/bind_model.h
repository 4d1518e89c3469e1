/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens a checkpoint folder as the engine does: configuration, files, tensors bound.
 */
#ifndef OX_TESTS_BIND_MODEL_H
#define OX_TESTS_BIND_MODEL_H

#include "base/mem.h"
#include "os/file.h"
#include "weights/weights.h"

struct bound_model {
    struct ox_config config;
    struct ox_checkpoint *checkpoint;
    struct ox_weights weights;
};

static inline void close_model(struct bound_model *m)
{
    ox_weights_fini(&m->weights);
    ox_checkpoint_close(&m->checkpoint);
}

/* On failure everything is closed. */
static inline enum ox_status bind_model(const char *folder, struct bound_model *m, struct ox_error *err)
{
    struct ox_buf text;
    char *path = ox_path_join(folder, "config.json");
    memset(m, 0, sizeof *m);
    ox_buf_init(&text);
    enum ox_status status = OX_E_NOMEM;
    if (path != NULL) {
        status = ox_file_read(path, (size_t)1 << 24, &text, err);
    }
    if (status == OX_OK) {
        status = ox_config_parse(ox_buf_str(&text), "config.json", NULL, &m->config, err);
    }
    if (status == OX_OK) {
        status = ox_checkpoint_open(folder, NULL, &m->checkpoint, err);
    }
    if (status == OX_OK) {
        status = ox_weights_bind(m->checkpoint, &m->config, &m->weights, err);
    }
    if (status != OX_OK) {
        close_model(m);
    }
    ox_buf_fini(&text);
    ox_free(path);
    return status;
}

#endif
