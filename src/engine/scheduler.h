/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler from the inside. Requests are handed over through one queue with one mutex; slots, timelines and the
 * block store belong to the one thread that is inside oxcart_scheduler_run and need no lock. What other threads may see
 * of a running request is copied into it under the mutex after each pass.
 *
 * A pass holds one row for each running answer and a piece of one prompt or more. Pictures and clips are encoded in
 * pieces, one at a time; beside answers, these take turns with pieces of prompts. Memory is given to the oldest request
 * first: if blocks run out, kept beginnings are forgotten, then the youngest requests lose theirs and compute them again
 * later, with the same result.
 */
#ifndef OX_ENGINE_SCHEDULER_H
#define OX_ENGINE_SCHEDULER_H

#include "engine/block_store.h"
#include "engine/cost.h"
#include "engine/feature_cache.h"
#include "engine/generation.h"
#include "engine/pace.h"
#include "engine/picture_encoder.h"
#include "engine/request_prompt.h"

/* Most rows of prompts in a pass, also where no answer runs: whoever comes or leaves meanwhile waits for its end. */
#define OX_SCHEDULER_ROWS 512

/* One request from its submission to its end. */
struct ox_request {
    struct ox_request *next;
    struct oxcart_prompt *prompt;
    struct ox_hash *media_keys; /* [prompt->pictures.n] of what they show */
    struct ox_generation g;
    oxcart_done_handler done;
    void *user;
    uint64_t round; /* its place among the clients */
    uint64_t submit_ns;
    uint64_t start_ns; /* work on it began; 0: not yet */
    uint64_t first_ns; /* its first token was drawn */
    uint64_t token_ns; /* its last one */
    struct ox_ids drawn;
    size_t n_reached;      /* most of its tokens that were computed or found at a time */
    int32_t n_cached_seen; /* of them found, as the sums know it */
    enum ox_status status; /* OX_OK while it goes on well */
    struct ox_error err;
    bool over;               /* the answer is whole */
    bool cancelled;          /* under the mutex */
    struct oxcart_slot seen; /* under the mutex */
};

/* A place among the requests that run together. */
struct ox_slot {
    struct ox_request *request; /* NULL: free */
    struct ox_kv kv;
    struct ox_block *last; /* of the timeline's first n_chained blocks, which the store knows; NULL: none */
    size_t n_chained;
    uint32_t *n_drawn;   /* [vocab] */
    size_t n_rows;       /* in the pass in hand */
    const float *logits; /* from it, or NULL */
    int32_t id;          /* drawn from them; -1: the answer is over without one more */
    uint64_t served;     /* when its prompt was worked on last, counted in pieces */
    bool tried;          /* its prompt was looked at for this pass */
    bool reading;        /* ... and waits for blocks from the disk */
};

/* What the tower works on. */
struct ox_encoding {
    struct ox_slot *slot; /* for its request; NULL: nothing */
    struct ox_features *features;
    struct ox_picture_encoder encoder;
};

struct oxcart_scheduler {
    struct oxcart_engine *engine;
    void (*message)(void *user, enum oxcart_log_level level, const char *text);
    void *message_user;
    size_t n_ctx;
    size_t n_slots;
    size_t n_queue;
    size_t max_rows;
    struct ox_kv_layout layout;
    struct ox_kv_pool *pool;
    size_t pool_blocks;
    struct ox_state *state;
    struct ox_row *rows;         /* [max_rows] */
    struct ox_slot *slots;       /* [n_slots] */
    struct ox_slot **order;      /* [n_slots] the oldest request first */
    struct ox_sampler *samplers; /* [n_samplers] scratch of the first workers, which draw */
    size_t n_samplers;
    struct ox_block_store *store;
    uint64_t *words; /* [block] */
    struct ox_cost cost;
    struct ox_pace pace;
    struct ox_feature_cache features;
    struct ox_encoding encoding;
    bool tower_waited; /* it did nothing in the last pass */
    uint64_t n_encoded;
    uint64_t n_pieces;
    uint64_t n_paused;
    double longest_pause_s;
    /* the pass in hand */
    size_t n_rows;
    size_t n_piece;      /* rows of prompts */
    double piece_weight; /* of them on average */
    size_t n_beside;     /* answers in it */
    bool tower_turn;     /* beside answers, the tower works and prompts wait */
    double encode_s;     /* how long the tower worked before it */
    double pass_s;       /* how long it took */

    pthread_mutex_t mutex; /* for all that follows */
    pthread_cond_t wake;
    struct ox_request *waiting; /* in the order of submission */
    size_t n_waiting;
    uint64_t next_ticket;
    uint64_t round;  /* of the request that was admitted last */
    uint64_t n_news; /* counts what may let a waiting run go on */
    bool stopping;
    bool stop_now;
    struct oxcart_scheduler_stats stats;
};

/* One pass over the slots: everything between two looks at the queue. Returns false if no slot can go on now. The mutex
 * is not held. */
bool ox_scheduler_pass(struct oxcart_scheduler *scheduler);

/* The slot's request has ended: its blocks are given back. The request itself is the caller's. */
void ox_scheduler_clear_slot(struct oxcart_scheduler *scheduler, struct ox_slot *slot);

/* ---- pictures and clips (schedule_media.c) ---- */

/* Set r->media_keys. Any thread. */
enum ox_status ox_request_hash_media(const struct oxcart_scheduler *scheduler, struct ox_request *r,
                                     struct ox_error *err) OX_MUST_USE;

/* What the block store knows token id at pos of the request by: for a placeholder, what it shows. */
uint64_t ox_request_word(const struct ox_request *r, size_t pos, int32_t id);

/* How many of the slot's next n rows have the features they need. If not all, encoding begins as soon as it may; if that
 * fails for good, the request's status says so. */
size_t ox_scheduler_ready_rows(struct oxcart_scheduler *scheduler, struct ox_slot *slot, size_t n);

/* The features of a row that is ready; NULL if it stands for no picture. */
const float *ox_scheduler_embedding(struct oxcart_scheduler *scheduler, const struct ox_request *r, size_t pos);

/* Work on the encoding in hand, as long as running answers may wait; returns the seconds. */
double ox_scheduler_encode(struct oxcart_scheduler *scheduler);

/* Break off the encoding if it is the slot's; segments that are done stay. slot may be NULL. */
void ox_scheduler_end_encoding(struct oxcart_scheduler *scheduler, const struct ox_slot *slot);

/* Tokens of a running request: its prompt and what was drawn. */
size_t ox_request_n_tokens(const struct ox_request *request);

#endif
