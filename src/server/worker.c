/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request's body to its answers: the worker threads parse, render and hand in; the engine thread's events come
 * back here and become the reply's bytes.
 */
#include "base/json.h"
#include "base/json_build.h"
#include "server/media_source.h"
#include "server/server_parts.h"

#define STREAM_TYPE "text/event-stream; charset=utf-8"
/* Of JSON in a body, beside four contexts full of tokens: a value takes a hundred times the bytes of its text. */
#define MAX_VALUES ((size_t)65536)
/* Bodies above it are slow jobs: a tenth of a second and more until their tokens are known. */
#define LARGE_BYTES ((size_t)1 << 20)

/* ---- events: the engine thread ---------------------------------------------------------------------------------- */

/* Bytes were added to a stream. The lock is held. False: the client reads too slowly. */
static bool flush(struct ox_exchange *x, size_t before)
{
    if (!x->streams || x->out.len == before) {
        return true;
    }
    if (x->out.len - x->n_sent > OX_MAX_UNSENT) {
        return false;
    }
    x->quiet_ns = ox_clock_ns();
    if (x->decided) {
        ox_exchange_wake(x);
    }
    return true;
}

static void measure(struct ox_choice *choice)
{
    struct ox_exchange *x = choice->exchange;
    const uint64_t now = ox_clock_ns();
    if (choice->last_ns == 0) {
        ox_metrics_first(&x->server->metrics, ox_server_seconds(x->begin_ns, now));
    } else {
        ox_metrics_between(&x->server->metrics, ox_server_seconds(choice->last_ns, now));
    }
    choice->last_ns = now;
}

static int on_event(void *user, const struct oxcart_event *event)
{
    struct ox_choice *choice = user;
    struct ox_exchange *x = choice->exchange;
    bool nomem = false;
    bool slow = false;
    if (event->kind == OXCART_EVENT_TOKEN) {
        measure(choice);
    }
    pthread_mutex_lock(&x->lock);
    const bool over = x->gone || x->failed;
    if (!over) {
        const size_t before = x->out.len;
        nomem = !x->route->api->event(x->reply, choice->index, event, &x->out) || ox_buf_failed(&x->out);
        slow = !flush(x, before);
    }
    pthread_mutex_unlock(&x->lock);
    if (slow) {
        ox_exchange_leave(x);
    }
    if (nomem) {
        struct ox_api_error error;
        (void)ox_api_refuse_nomem(&error);
        ox_exchange_fail(x, &error);
    }
    return over || nomem || slow ? 1 : 0;
}

static void add_sums(struct oxcart_result *sums, const struct oxcart_result *result)
{
    sums->n_prompt += result->n_prompt;
    sums->n_cached += result->n_cached;
    sums->n_generated += result->n_generated;
}

/* Nothing is open any more: the reply is whole. The lock is held. */
static void finish(struct ox_exchange *x)
{
    x->finished = true;
    if (!x->decided) {
        x->http_status = 200;
        x->content_type = x->streams ? STREAM_TYPE : "application/json";
        x->decided = true;
    }
    ox_exchange_wake(x);
}

/* A choice ended well. The lock is held. */
static bool end_choice(struct ox_exchange *x, int32_t index, const struct oxcart_result *result)
{
    const bool ok = x->route->api->end(x->reply, index, result, &x->out) && !ox_buf_failed(&x->out);
    if (ok && x->n_open == 0) {
        finish(x);
    }
    return ok;
}

static void on_done(void *user, enum oxcart_status status, const struct oxcart_result *result,
                    const struct oxcart_error *err)
{
    struct ox_choice *choice = user;
    struct ox_exchange *x = choice->exchange;
    bool failed = status != OXCART_OK;
    pthread_mutex_lock(&x->lock);
    choice->done = true;
    x->n_open--;
    if (result != NULL) {
        add_sums(&x->sums, result);
    }
    const bool over = x->gone || x->failed;
    if (!over && !failed) {
        const size_t before = x->out.len;
        failed = !end_choice(x, choice->index, result);
        (void)flush(x, before);
    }
    pthread_mutex_unlock(&x->lock);
    if (!over && failed) {
        struct ox_api_error error;
        if (status == OXCART_OK) {
            (void)ox_api_refuse_nomem(&error);
        } else {
            ox_api_error_of(status, err, &error);
        }
        ox_exchange_fail(x, &error);
        ox_exchange_cancel(x);
    }
    ox_exchange_release(x);
}

/* ---- asking: the workers ---------------------------------------------------------------------------------------- */

/* The prompt of a conversation: what its parts point to is looked up first. */
static bool render(struct ox_exchange *x, struct oxcart_prompt **prompt, struct ox_api_error *error)
{
    const struct ox_server_options *options = &x->server->options;
    const struct ox_media_options media = {.folder = options->media_folder,
                                           .hosts = options->media_hosts,
                                           .n_hosts = options->n_media_hosts,
                                           .max_media = options->max_images,
                                           .max_bytes = options->max_body,
                                           .permit_loopback = options->permit_loopback};
    struct oxcart_messages_options messages = ox_server_messages(x->server);
    struct oxcart_error err = {0};
    struct ox_media_set set = {0};
    struct ox_buf text = {0};
    if (!ox_media_load(x->ask.conversation, &media, &x->left, &set, error)) {
        return false;
    }
    messages.thinking = x->ask.messages.thinking;
    messages.allow_special = x->ask.messages.allow_special;
    messages.replay = x->ask.messages.replay;
    messages.n_replay = x->ask.messages.n_replay;
    messages.media = set.media;
    messages.n_media = set.n_media;
    ox_json_write(x->ask.conversation, &text);
    bool ok = !ox_buf_failed(&text) || ox_api_refuse_nomem(error);
    if (ok) {
        const enum oxcart_status status =
            oxcart_prompt_from_messages(x->server->model.engine, text.ptr, text.len, &messages, prompt, &err);
        ok = status == OXCART_OK;
        if (!ok) {
            ox_api_error_of(status, &err, error);
        }
        if (status == OXCART_E_STATE && x->server->context.info.has_vision != 0) { /* which is the other reason */
            error->code = "context_length_exceeded";
        }
    }
    ox_buf_fini(&text);
    ox_media_set_fini(&set);
    return ok;
}

/* The prompt of an ask. */
static bool make_prompt(struct ox_exchange *x, struct oxcart_prompt **prompt, struct ox_api_error *error)
{
    struct oxcart_error err = {0};
    if (x->ask.conversation != NULL) {
        return render(x, prompt, error);
    }
    const enum oxcart_status status =
        oxcart_prompt_from_tokens(x->server->model.engine, x->ask.ids, x->ask.n_ids, prompt, &err);
    if (status != OXCART_OK) {
        ox_api_error_of(status, &err, error);
    }
    return status == OXCART_OK;
}

static bool check_length(const struct ox_exchange *x, size_t n_prompt, struct ox_api_error *error)
{
    const size_t n_ctx = (size_t)x->server->model.n_ctx;
    if (n_prompt < n_ctx) {
        return true;
    }
    return ox_api_refuse(error, 400, "invalid_request_error", "context_length_exceeded", NULL,
                         "the prompt has %zu tokens; with an answer the context has room for %zu (--ctx-size)", n_prompt,
                         n_ctx);
}

/* Hand in one choice; it holds the exchange until it is done. */
static bool submit(struct ox_exchange *x, struct oxcart_prompt *prompt, struct ox_choice *choice,
                   struct ox_api_error *error)
{
    struct oxcart_sampling sampling = x->ask.sampling;
    struct oxcart_error err = {0};
    sampling.seed += sampling.has_seed != 0 ? (uint64_t)choice->index : 0;
    const struct oxcart_request request = {.size = sizeof request,
                                           .prompt = prompt,
                                           .sampling = &sampling,
                                           .client = x->client,
                                           .handler = on_event,
                                           .done = on_done,
                                           .user = choice};
    uint64_t ticket = 0;
    ox_exchange_hold(x);
    pthread_mutex_lock(&x->lock);
    x->n_open++;
    pthread_mutex_unlock(&x->lock);
    const enum oxcart_status status = oxcart_scheduler_submit(x->server->model.scheduler, &request, &ticket, &err);
    pthread_mutex_lock(&x->lock);
    if (status == OXCART_OK) {
        choice->ticket = ticket;
        choice->submitted = true;
    } else {
        x->n_open--;
    }
    pthread_mutex_unlock(&x->lock);
    if (status != OXCART_OK) {
        ox_api_error_of(status, &err, error);
        ox_exchange_release(x);
    }
    return status == OXCART_OK;
}

/* All choices, or none. */
static bool submit_all(struct ox_exchange *x, struct oxcart_prompt *prompt, struct ox_api_error *error)
{
    bool ok = true;
    for (int32_t i = 0; ok && i < x->ask.n_choices; i++) {
        ok = submit(x, prompt, &x->choices[i], error);
    }
    pthread_mutex_lock(&x->lock);
    x->n_open--;
    if (ok && !x->failed && x->n_open == 0) {
        finish(x);
    } else if (ok && x->streams && !x->decided) {
        x->http_status = 200;
        x->content_type = STREAM_TYPE;
        x->decided = true;
        ox_exchange_wake(x);
    }
    pthread_mutex_unlock(&x->lock);
    return ok;
}

static bool answer(struct ox_exchange *x, struct oxcart_prompt *prompt, struct ox_api_error *error)
{
    const struct ox_api *api = x->route->api;
    const size_t n_prompt = oxcart_prompt_tokens(prompt, NULL);
    if (!check_length(x, n_prompt, error)) {
        return false;
    }
    x->reply = api->reply_new(&x->server->context, &x->ask, n_prompt);
    if (x->reply == NULL) {
        return ox_api_refuse_nomem(error);
    }
    pthread_mutex_lock(&x->lock);
    const bool over = x->decided || x->gone; /* while the prompt was made */
    if (!over) {
        x->streams = x->ask.stream;
        x->n_open = 1;
    }
    if (!over && x->streams) {
        api->begin(x->reply, &x->out);
    }
    pthread_mutex_unlock(&x->lock);
    return over || submit_all(x, prompt, error);
}

static bool ask(struct ox_exchange *x, struct ox_api_error *error)
{
    struct oxcart_prompt *prompt = NULL;
    struct ox_buf out = {0};
    if (!make_prompt(x, &prompt, error)) {
        return false;
    }
    bool ok = true;
    if (x->ask.kind == OX_ASK_COUNT) {
        x->route->api->count(oxcart_prompt_tokens(prompt, NULL), &out);
        ox_exchange_reply(x, 200, "application/json", &out);
    } else {
        ok = answer(x, prompt, error);
    }
    oxcart_prompt_free(&prompt);
    return ok;
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

/* The request's body as a tree, which is the caller's in any case. */
static bool parse(struct ox_exchange *x, json_t **body, struct ox_api_error *error)
{
    static const char what[] = "the request's body";
    const size_t max_values = MAX_VALUES + 4 * (size_t)x->server->model.n_ctx;
    const struct ox_str text = ox_buf_str(&x->body);
    struct ox_error err = {0};
    if (ox_json_count(text) > max_values) {
        return ox_api_refuse(error, 413, "invalid_request_error", "request_too_large", NULL,
                             "%s: more than %zu values, that is %zu and four contexts (--ctx-size)", what, max_values,
                             MAX_VALUES);
    }
    const enum ox_status status = ox_json_parse(text, what, body, &err);
    if (status == OX_E_NOMEM) {
        return ox_api_refuse_nomem(error);
    }
    if (status != OX_OK) {
        return ox_api_refuse(error, 400, "invalid_request_error", "invalid_json", NULL, "%s", err.message);
    }
    return json_is_object(*body) || ox_api_refuse(error, 400, "invalid_request_error", "invalid_json", NULL,
                                                  "%s: expected a JSON object", what);
}

/* Parse the body, and read what it asks for. */
static bool read_request(struct ox_exchange *x, struct ox_api_error *error)
{
    const bool ok = parse(x, &x->tree, error);
    ox_exchange_drop_body(x);
    x->ask.kind = x->route->ask;
    return ok && (x->route->kind != OX_ROUTE_ASK || x->route->api->read(&x->server->context, x->tree, &x->ask, error));
}

/* What is known to take long only now that it was read. */
static bool is_slow(const struct ox_exchange *x)
{
    return x->route->kind == OX_ROUTE_ASK ? ox_media_is_shown(x->ask.conversation) : ox_media_is_shown(x->tree);
}

static bool is_over(struct ox_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    const bool over = x->gone || x->failed;
    pthread_mutex_unlock(&x->lock);
    return over;
}

/* False: it is a slow job, to be gone on with when it is taken as such. */
static bool work(struct ox_exchange *x)
{
    struct ox_api_error error;
    if (is_over(x)) { /* while it waited; its tree goes with it */
        return true;
    }
    bool ok = x->tree != NULL || read_request(x, &error);
    if (ok && !x->job.slow && is_slow(x)) {
        return false;
    }
    if (ok && x->route->kind == OX_ROUTE_ASK) {
        ok = ask(x, &error);
    } else if (ok) {
        ox_endpoint_post(x, x->tree);
    }
    json_decref(x->tree);
    x->tree = NULL;
    if (!ok) {
        ox_exchange_fail(x, &error);
    }
    if (is_over(x)) { /* while it was handed in */
        ox_exchange_cancel(x);
    }
    return true;
}

void ox_work_add(struct ox_exchange *x)
{
    ox_exchange_hold(x);
    x->job.slow = x->body.len > LARGE_BYTES;
    ox_jobs_add(&x->server->jobs, &x->job);
    ox_keeper_wake(x->server);
}

void *ox_worker_main(void *argument)
{
    struct ox_server *server = argument;
    struct ox_job *job = NULL;
    while ((job = ox_jobs_take(&server->jobs)) != NULL) {
        struct ox_exchange *x = job->owner;
        const bool done = work(x);
        ox_jobs_done(&server->jobs, job);
        if (done) {
            ox_exchange_release(x);
        } else {
            job->slow = true;
            ox_jobs_add(&server->jobs, job);
        }
    }
    return NULL;
}
