/* SPDX-License-Identifier: Apache-2.0
 *
 * liboxcart: MiniMax-M3 on CPUs. The library's whole public interface.
 *
 * An ENGINE is a loaded model: opened once, read-only afterwards, shared by all its sessions. A SESSION is one timeline
 * of tokens with its KV cache: append to it, decode from it, rewind it. A SCHEDULER answers requests of many clients in
 * one batch, for servers. Nothing here exits, prints, reads the
 * environment or installs signal handlers; every failure is a status and a sentence. Two engines in one process work.
 *
 * A complete program:
 *
 *     #include <oxcart.h>
 *     #include <stdio.h>
 *
 *     static int print(void *user, const struct oxcart_event *event)
 *     {
 *         if (event->kind == OXCART_EVENT_CONTENT) {
 *             fwrite(event->text, 1, event->text_bytes, (FILE *)user);
 *         }
 *         return 0;
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct oxcart_error err = {0};
 *         struct oxcart_engine_options options = {.size = sizeof options, .model_path = argc > 1 ? argv[1] : "."};
 *         struct oxcart_engine *engine = NULL;
 *         struct oxcart_session *session = NULL;
 *         const char *talk = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is the capital of France?\"}]}";
 *         if (oxcart_engine_open(&options, &engine, &err) != OXCART_OK ||
 *             oxcart_session_open(engine, NULL, &session, &err) != OXCART_OK ||
 *             oxcart_session_set_messages(session, talk, strlen(talk), NULL, &err) != OXCART_OK ||
 *             oxcart_session_decode(session, NULL, print, stdout, NULL, &err) != OXCART_OK) {
 *             fprintf(stderr, "%s\n", err.message);
 *         }
 *         oxcart_session_close(&session);
 *         oxcart_engine_close(&engine);
 *         return err.code == OXCART_OK ? 0 : 1;
 *     }
 *
 * Structures that may grow begin with `size`: set it to sizeof the structure; members beyond what an older program
 * knew then keep their defaults. In every options structure a zero member means "the default".
 *
 * Threads: an engine's functions may be called from any thread. One session belongs to one thread at a time. Sessions
 * of one engine take turns: a call that computes waits until the engine is free.
 *
 * Stability: experimental until version 1.0; every symbol appeared in 0.1.
 */
#ifndef OXCART_H
#define OXCART_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OXCART_API __attribute__((visibility("default")))
#else
#define OXCART_API
#endif

/* ---- errors ---------------------------------------------------------------------------------------------------- */

enum oxcart_status {
    OXCART_OK = 0,
    OXCART_E_NOMEM,     /* an allocation failed, or the model does not fit in memory (nothing was read yet) */
    OXCART_E_IO,        /* a file could not be opened or read */
    OXCART_E_FORMAT,    /* bytes that are not what their format demands */
    OXCART_E_SHAPE,     /* well-formed, but not what the model needs */
    OXCART_E_LIMIT,     /* beyond a limit */
    OXCART_E_ARG,       /* an argument that makes no sense */
    OXCART_E_DEVICE,    /* a CPU level that this machine does not have */
    OXCART_E_CANCELLED, /* a handler returned nonzero */
    OXCART_E_STATE,     /* a call that the session cannot serve now: the context is full, there is nothing to decode, or
                         * the model cannot see and is shown a picture */
    OXCART_E_MEDIA,     /* a picture or clip that cannot be opened or decoded, or is beyond a limit */
    OXCART_E_BUSY       /* a full queue, or a cache folder that another process uses: try again later */
};

/* The caller's, plain data. message: one sentence without line end, naming file, tensor or option, expected and found. */
struct oxcart_error {
    enum oxcart_status code;
    int sys_errno;
    uint64_t offset;
    char message[256];
};

/* ---- engine ---------------------------------------------------------------------------------------------------- */

struct oxcart_engine;

enum oxcart_log_level { OXCART_LOG_ERROR, OXCART_LOG_WARNING, OXCART_LOG_INFO, OXCART_LOG_DEBUG };

struct oxcart_engine_options {
    size_t size;
    const char *model_path; /* a checkpoint folder (config.json, *.safetensors, tokenizer.json); required */
    int32_t n_threads;      /* 0: one per core that the process may use */
    const char *cpu_level;  /* NULL: the best this machine has; "c" */
    /* messages and progress; called on the thread that opens the engine. text has no line end. */
    void (*message)(void *user, enum oxcart_log_level level, const char *text);
    void (*progress)(void *user, const char *phase, uint64_t done, uint64_t total, const char *unit);
    void *user;
};

/* Open the model at options->model_path (options must not be NULL). On success *out must be closed by the caller.
 * OXCART_E_NOMEM if it cannot fit in memory, decided from headers before weights are read. Any thread. */
OXCART_API enum oxcart_status oxcart_engine_open(const struct oxcart_engine_options *options,
                                                 struct oxcart_engine **out, struct oxcart_error *err);

/* Close and set *engine to NULL; *engine may be NULL. All its sessions must be closed first. */
OXCART_API void oxcart_engine_close(struct oxcart_engine **engine);

/* What is loaded. Strings are owned by the engine. Set size before the call. */
struct oxcart_engine_info {
    size_t size;
    const char *name;        /* the folder's name */
    const char *format;      /* of the experts' weights: "mxfp8", "bf16", "f16", "f32" */
    const char *cpu_level;
    int32_t n_threads;
    int32_t n_layers;
    int32_t n_vocab;         /* rows of the head; ids at or above n_tokens have no token */
    int32_t n_tokens;
    int32_t max_positions;   /* the model's longest context */
    int32_t has_tokenizer;   /* 0: only functions that take ids work */
    int32_t has_vision;      /* nonzero: the model sees pictures and clips */
    uint64_t n_parameters;   /* the vision tower's included, so in the next line */
    uint64_t weight_bytes;
    uint64_t kv_token_bytes; /* KV cache of one token in BF16 */
};
OXCART_API enum oxcart_status oxcart_engine_info(const struct oxcart_engine *engine, struct oxcart_engine_info *info);

/* ---- text and tokens ------------------------------------------------------------------------------------------- */

#define OXCART_TEXT_PLAIN 1U        /* encode: added tokens in the text are ordinary text */
#define OXCART_TEXT_SKIP_SPECIAL 2U /* decode: special tokens give nothing */

/* Encode text (any bytes). *ids is freed with oxcart_free. Any thread. */
OXCART_API enum oxcart_status oxcart_encode(const struct oxcart_engine *engine, const char *text, size_t text_bytes,
                                            uint32_t flags, int32_t **ids, size_t *n_ids, struct oxcart_error *err);

/* Decode ids to bytes (perhaps no valid UTF-8), a NUL behind them that is not counted. *text is freed with
 * oxcart_free. Ids without a token give nothing. Any thread. */
OXCART_API enum oxcart_status oxcart_decode(const struct oxcart_engine *engine, const int32_t *ids, size_t n_ids,
                                            uint32_t flags, char **text, size_t *text_bytes, struct oxcart_error *err);

/* Free what a function of this header allocated for the caller; NULL is accepted. */
OXCART_API void oxcart_free(void *p);

/* ---- sessions -------------------------------------------------------------------------------------------------- */

struct oxcart_session;

struct oxcart_session_options {
    size_t size;
    int32_t n_ctx;  /* longest timeline in tokens; 0: the model's maximum, at most 32,768 */
    const char *kv; /* "bf16" (NULL), "f32" */
    /* Pictures and clips */
    const char *media_helper; /* the program oxcart-media that decodes them, in a process of its own without files and
                               * network; NULL: only pixels can be shown */
    int64_t max_pixels;       /* of a picture, which is made smaller; 0: 451,584 */
    double fps;               /* frames taken from a second of a clip; 0: 1 */
    int32_t max_frames;       /* of a clip, which is thinned evenly; 0: 768 */
    int64_t media_bytes;      /* of pictures kept for the case that they are shown again; 0: 1 GiB */
    /* warnings about these, on the thread that calls; text has no line end. May be NULL. */
    void (*message)(void *user, enum oxcart_log_level level, const char *text);
    void *user;
};

/* Open a session of engine, which must outlive it. options may be NULL. KV memory is reserved, and counted as used
 * only as the timeline grows; OXCART_E_NOMEM if it cannot fit. */
OXCART_API enum oxcart_status oxcart_session_open(struct oxcart_engine *engine,
                                                  const struct oxcart_session_options *options,
                                                  struct oxcart_session **out, struct oxcart_error *err);

/* Close and set *session to NULL; *session may be NULL. */
OXCART_API void oxcart_session_close(struct oxcart_session **session);

/* The timeline so far; *ids is owned by the session and valid until its next call. */
OXCART_API size_t oxcart_session_tokens(const struct oxcart_session *session, const int32_t **ids);

/* Progress of a long prompt and cancellation: return nonzero to stop; the timeline then holds `done` tokens. */
typedef int (*oxcart_prompt_handler)(void *user, size_t done, size_t total);
OXCART_API void oxcart_session_on_prompt(struct oxcart_session *session, oxcart_prompt_handler handler, void *user);

/* Append n ids (each 0 <= id < n_vocab) to the timeline and compute them. OXCART_E_STATE if they exceed n_ctx
 * (nothing is appended then). The ids that stand for pictures and clips are refused where the model has a vision tower:
 * oxcart_session_append_media puts them. So do all functions that take ids. */
OXCART_API enum oxcart_status oxcart_session_append(struct oxcart_session *session, const int32_t *ids, size_t n,
                                                    struct oxcart_error *err);

enum oxcart_media_kind { OXCART_MEDIA_IMAGE, OXCART_MEDIA_VIDEO };

/* A picture or clip: exactly one of path, bytes and pixels. Everything is borrowed for the call. */
struct oxcart_media {
    size_t size;
    enum oxcart_media_kind kind;
    const char *name;      /* in messages; NULL: the path, or "picture" or "clip" */
    const char *path;      /* JPEG, PNG, GIF (first frame), BMP, WebP; clips: whatever FFmpeg reads */
    const uint8_t *bytes;  /* [n_bytes], the same in memory */
    size_t n_bytes;
    const uint8_t *pixels; /* [n_frames, height, width, 3] RGB; the frames of a clip are taken as they are */
    int32_t n_frames;      /* 1 for a picture; this and the next two count for pixels only */
    int32_t height;
    int32_t width;
    double frames_s;       /* frames of a clip a second; 0: unknown, then its times are not told to the model */
};

/* Append a picture or clip to the timeline, as the chat format shows it to the model, and compute it. OXCART_E_MEDIA if
 * it cannot be used, OXCART_E_STATE if the model cannot see or it exceeds n_ctx; nothing is appended then. */
OXCART_API enum oxcart_status oxcart_session_append_media(struct oxcart_session *session,
                                                          const struct oxcart_media *media, struct oxcart_error *err);

/* Cut the timeline back to its first n tokens (n at most its length). Decoding goes on as if the rest had never been. */
OXCART_API enum oxcart_status oxcart_session_rewind(struct oxcart_session *session, size_t n,
                                                    struct oxcart_error *err);

/* Make the timeline exactly these ids, keeping the longest common prefix that is computed already. */
OXCART_API enum oxcart_status oxcart_session_set_tokens(struct oxcart_session *session, const int32_t *ids, size_t n,
                                                        struct oxcart_error *err);

/* Write the timeline, its pictures and clips (as pixels of the size that the model sees) and its KV cache to the file at
 * path, whole or not at all, with note_bytes (at most 256 MiB) of the caller's own, e.g. the conversation. */
OXCART_API enum oxcart_status oxcart_session_save(const struct oxcart_session *session, const char *path,
                                                  const void *note, size_t note_bytes, struct oxcart_error *err);

/* Make the timeline what was saved at path; a reply that follows is plain text, as after oxcart_session_append. What was
 * computed then is not computed again, unless it is damaged in the file; pictures are known again when they are shown
 * again, and encoded only if tokens of them must be computed. If another model, CPU level, KV format or
 * version of this library saved it, the timeline becomes empty. *note (note and note_bytes may be NULL) gets the
 * caller's bytes with a NUL behind them, to be freed with oxcart_free. OXCART_E_FORMAT if this is no saved session or its
 * note, tokens or pictures are damaged, OXCART_E_STATE if it does not fit into n_ctx; the session is unchanged then. */
OXCART_API enum oxcart_status oxcart_session_load(struct oxcart_session *session, const char *path, char **note,
                                                  size_t *note_bytes, struct oxcart_error *err);

enum oxcart_thinking {
    OXCART_THINKING_UNSET = 0, /* what the conversation says; adaptive if it says nothing */
    OXCART_THINKING_ADAPTIVE,
    OXCART_THINKING_ENABLED,
    OXCART_THINKING_DISABLED
};

/* The exact tokens that this library drew for a message: what came behind the generation prompt, the end token included.
 * They may come only from a program that kept them, never from what a client sends. */
struct oxcart_replay {
    size_t message;     /* its index in "messages", an assistant's */
    const int32_t *ids; /* [n_ids] */
    size_t n_ids;
};

struct oxcart_messages_options {
    size_t size;
    enum oxcart_thinking thinking;
    int32_t allow_special; /* nonzero: control tokens spelled in callers' text become control tokens */
    const struct oxcart_media *media; /* [n_media] for the parts {"type": "image"} and "video" that name no source, in
                                       * order of the conversation */
    size_t n_media;
    int32_t media_files;      /* nonzero: parts may name files, which are opened; else only data: URIs */
    const char *media_folder; /* names that do not begin with / are taken from here; NULL: the current folder */
    /* Messages that were drawn here are put into the prompt as they were drawn, so that what was computed for them is
     * found again although e.g. arguments were spelled with other blanks than rendering gives them. A replay counts only
     * where it is whole and says what the message says when it is rendered: the same reasoning, content (blanks alone are
     * none) and calls (arguments compared as JSON values). Others, and those of messages that are not there, are passed
     * over and the message rendered. In any order; of two for one message the first counts. */
    const struct oxcart_replay *replay;
    size_t n_replay;
    /* For oxcart_prompt_from_messages only, as in struct oxcart_session_options: a session has its own. */
    const char *media_helper;
    int64_t max_pixels;
    double fps;
    int32_t max_frames;
    void (*message)(void *user, enum oxcart_log_level level, const char *text);
    void *user;
    /* For oxcart_prompt_from_messages only: pictures and clips are decoded until they stand for more tokens than these,
     * each of at most 4,704 bytes of pixels. 0: no limit. */
    int64_t max_media_tokens; /* of the prompt; more: OXCART_E_STATE */
    int64_t all_media_tokens; /* of all prompts of the engine that are kept, by requests too; more: OXCART_E_BUSY */
};

/* Make the timeline the rendered form of a conversation: a JSON object {"messages": [...], "tools": [...],
 * "thinking_mode": "...", "add_generation_prompt": true, "model_identity": "..."}. Text of messages never becomes a
 * control token. Parts of messages may be pictures and clips: {"type": "image_url", "image_url": {"url": "..."}} and
 * video_url, a data: URI or a file's name. options may be NULL. Keeps the common prefix as oxcart_session_set_tokens does;
 * a picture that the session has seen before is not decoded and encoded again. */
OXCART_API enum oxcart_status oxcart_session_set_messages(struct oxcart_session *session, const char *json,
                                                          size_t json_bytes,
                                                          const struct oxcart_messages_options *options,
                                                          struct oxcart_error *err);

/* ---- decoding -------------------------------------------------------------------------------------------------- */

struct oxcart_bias {
    int32_t id;
    float bias; /* added to the logit */
};

/* What an answer must look like. Thinking is free. A constrained answer that is not cut off (n_predict, a full context,
 * a stop string) is always valid. */
enum oxcart_constraint {
    OXCART_CONSTRAINT_NONE = 0,
    OXCART_CONSTRAINT_JSON_OBJECT,    /* a JSON object */
    OXCART_CONSTRAINT_JSON_SCHEMA,    /* a JSON document that validates against json_schema */
    OXCART_CONSTRAINT_TOOLS,          /* any text; calls of tools validate against the tool's parameters */
    OXCART_CONSTRAINT_TOOLS_REQUIRED, /* at least one such call, and nothing else */
    OXCART_CONSTRAINT_TOOLS_OR_JSON   /* the same, or a document instead: of json_schema; NULL: a JSON object */
};

/* OXCART_E_ARG, OXCART_E_FORMAT or OXCART_E_LIMIT unless json_schema can constrain an answer: the sentence names the
 * place of what is not supported. The supported keywords stand in oxcart-run(1). Any thread. */
OXCART_API enum oxcart_status oxcart_schema_check(const char *json_schema, size_t json_schema_bytes,
                                                  struct oxcart_error *err);

struct oxcart_sampling;

/* The same for what sampling's constraint asks of an answer of engine; tools: the JSON array of the conversation's (NULL:
 * none). What was made to find that out is kept, so that the answer begins sooner. Any thread. */
OXCART_API enum oxcart_status oxcart_constraint_check(struct oxcart_engine *engine,
                                                      const struct oxcart_sampling *sampling, const char *tools,
                                                      size_t tools_bytes, struct oxcart_error *err);

/* How to draw tokens. Negative temperature, top_p, top_k, min_p: the checkpoint's generation_config.json, else
 * 1.0, 0.95, 40, 0. A structure of zeros with size set draws greedily; start from oxcart_sampling_default. */
struct oxcart_sampling {
    size_t size;
    int32_t n_predict;        /* at most so many tokens; 0: until the model stops or the context is full */
    float temperature;        /* 0: greedy */
    float top_p;              /* 1: off */
    int32_t top_k;            /* 0: off */
    float min_p;              /* 0: off */
    float presence_penalty;   /* subtracted once from every id in the generated text */
    float frequency_penalty;  /* subtracted as often as an id was generated */
    uint64_t seed;
    int32_t has_seed;         /* 0: drawn; oxcart_result tells it */
    const struct oxcart_bias *bias;
    size_t n_bias;
    const char *const *stop;  /* strings that end the answer; they are not part of it */
    size_t n_stop;
    int32_t ignore_end;       /* nonzero: end tokens do not end the answer and are never drawn */
    enum oxcart_constraint constraint;
    const char *json_schema;  /* for JSON_SCHEMA and TOOLS_OR_JSON */
    size_t json_schema_bytes;
    const char *tool;         /* for the constraints with tools: the only one that may be called; NULL: any */
    int32_t single_call;      /* the same: nonzero: at most one call */
    int32_t any_arguments;    /* the same: nonzero: calls name a tool, parameters are not looked at */
    int32_t has_logprobs;     /* nonzero: token events carry log-probabilities */
    int32_t n_logprobs;       /* ... also of so many best tokens, at most 20 */
};

/* *sampling with every member at "the model's default". */
OXCART_API void oxcart_sampling_default(struct oxcart_sampling *sampling);

enum oxcart_event_kind {
    OXCART_EVENT_TOKEN,          /* id: a token was drawn (before the events that its text makes); text: its own bytes */
    OXCART_EVENT_REASONING,      /* text */
    OXCART_EVENT_CONTENT,        /* text */
    OXCART_EVENT_CALL_BEGIN,     /* index, text: the tool's name */
    OXCART_EVENT_CALL_ARGUMENTS, /* index, text: the next part of the arguments' JSON */
    OXCART_EVENT_CALL_DONE,      /* index */
    OXCART_EVENT_CALL_FAILED     /* index, text: raw text of a call that could not be read */
};

/* The model's own natural-log probability of a token: before penalties, bias and temperature. */
struct oxcart_logprob {
    double logprob;
    int32_t id;
};

/* Valid during the handler's call only; text is valid UTF-8 (a token's own bytes: perhaps not), not NUL-terminated. */
struct oxcart_event {
    enum oxcart_event_kind kind;
    int32_t index;
    int32_t id;
    const char *text;
    size_t text_bytes;
    const struct oxcart_logprob *logprobs; /* tokens, where asked for: the drawn one, then the best in order */
    size_t n_logprobs;
};

/* Return nonzero to stop: decoding ends with OXCART_E_CANCELLED, the timeline keeps what was drawn. */
typedef int (*oxcart_event_handler)(void *user, const struct oxcart_event *event);

enum oxcart_finish { OXCART_FINISH_STOP, OXCART_FINISH_LENGTH, OXCART_FINISH_TOOL_CALLS };

struct oxcart_result {
    size_t size;
    enum oxcart_finish finish;
    uint64_t seed;
    int32_t n_prompt;    /* tokens of the timeline when decoding began */
    int32_t n_cached;    /* of these, kept from before the last set_messages or set_tokens */
    int32_t n_generated; /* tokens drawn, the end token included */
    int32_t n_reasoning; /* of these, in reasoning */
    int32_t n_media;     /* of the tokens that the last append or set computed, those of pictures and clips */
    double media_s;      /* time that decoding and encoding these took, part of prompt_s; requests: encoding */
    double prompt_s;     /* time the last append or set took */
    double first_s;      /* from the beginning of that to the first drawn token */
    double generate_s;   /* time of decoding */
    double queue_s;      /* requests: time waited before work on it began; first_s and prompt_s do not hold it */
};

/* Draw tokens until the model ends its message, a stop string, n_predict, or a full context. The timeline must not be
 * empty. After set_messages the reply is parsed into reasoning, content and calls; after plain appends everything is
 * content. sampling, handler and result may be NULL (set result->size before). The drawn tokens stay in the timeline,
 * the end token included. OXCART_E_ARG for options or a schema that make no sense: nothing is drawn then. */
OXCART_API enum oxcart_status oxcart_session_decode(struct oxcart_session *session,
                                                    const struct oxcart_sampling *sampling,
                                                    oxcart_event_handler handler, void *user,
                                                    struct oxcart_result *result, struct oxcart_error *err);

/* Append n ids and write to logprobs[i] the natural-log probability that the model gave ids[i] before seeing it; the
 * first id of an empty timeline has none (NAN). */
OXCART_API enum oxcart_status oxcart_session_score(struct oxcart_session *session, const int32_t *ids, size_t n,
                                                   double *logprobs, struct oxcart_error *err);

/* ---- prompts --------------------------------------------------------------------------------------------------- */

/* A PROMPT is tokens ready to be computed, with what the parser of the reply must know. Read-only once made: any number
 * of requests may be made of one, at the same time and from any thread. Its engine must outlive it. */
struct oxcart_prompt;

/* Make a prompt of ids (each 0 <= id < n_vocab; n > 0), whose reply is plain text. OXCART_E_ARG for ids that stand for
 * pictures or clips, if the model sees: a conversation puts them. Any thread. */
OXCART_API enum oxcart_status oxcart_prompt_from_tokens(const struct oxcart_engine *engine, const int32_t *ids, size_t n,
                                                        struct oxcart_prompt **out, struct oxcart_error *err);

/* Make a prompt of a conversation, as oxcart_session_set_messages reads it; options may be NULL. Pictures and clips are
 * decoded here, and their pixels kept as long as the prompt; they are encoded when a request needs them. Any thread. */
OXCART_API enum oxcart_status oxcart_prompt_from_messages(const struct oxcart_engine *engine, const char *json,
                                                          size_t json_bytes,
                                                          const struct oxcart_messages_options *options,
                                                          struct oxcart_prompt **out, struct oxcart_error *err);

/* Its tokens; *ids (ids may be NULL) lives as long as the prompt. */
OXCART_API size_t oxcart_prompt_tokens(const struct oxcart_prompt *prompt, const int32_t **ids);

/* Free and set *prompt to NULL; *prompt may be NULL. Requests that were made of it keep what they need. */
OXCART_API void oxcart_prompt_free(struct oxcart_prompt **prompt);

/* ---- scheduler: many requests in one batch ---------------------------------------------------------------------- */

/* A SCHEDULER answers requests of any number of clients together: all running answers advance by one token a pass of the
 * model, and prompts are computed and pictures encoded in between, in pieces small enough that no answer pauses longer
 * than max_stall_ms. Beginnings that were computed before are not computed again: their KV blocks are shared, kept while
 * there is memory, and, with a cache folder, found again after a restart; a picture is part of a beginning by what it
 * shows. An answer's tokens are the same bits alone or in company, with a cached beginning or without.
 *
 * Threads: the library makes none here, the caller lends them. One thread is inside oxcart_scheduler_run until it is
 * told to stop: handlers are called on it, and must not block. With a cache folder a second one is inside
 * oxcart_scheduler_run_disk; without it, reading and writing happen between passes. All other functions of a scheduler
 * may be called from any thread, from handlers too, but for open and close. Sessions of the same engine take turns with
 * its passes. */
struct oxcart_scheduler;

struct oxcart_scheduler_options {
    size_t size;
    int32_t n_parallel;     /* answers that run together; 0: 8 */
    int32_t n_queue;        /* requests that may wait; 0: 64; negative: none */
    int32_t n_ctx;          /* longest prompt and answer of a request; as in sessions */
    const char *kv;         /* as in sessions */
    uint64_t kv_bytes;      /* memory for KV blocks, of answers and kept beginnings; 0: a quarter of what is free */
    int64_t media_bytes;    /* of pictures and clips kept encoded for other requests that show them; 0: 1 GiB */
    int32_t max_stall_ms;   /* longest pause that another prompt may put into a running answer; 0: 500 */
    const char *cache_dir;  /* folder (made if missing) for KV blocks, used by one process at a time; NULL: none */
    uint64_t cache_bytes;   /* most that is kept there; 0: a fifth of the space that is free or already ours */
    /* what goes wrong with the cache folder; called on the threads that open, run and run_disk. Text has no line end. */
    void (*message)(void *user, enum oxcart_log_level level, const char *text);
    void *user;
};

/* Open a scheduler of engine, which must outlive it. options may be NULL. OXCART_E_NOMEM if the memory cannot be had,
 * OXCART_E_ARG if kv_bytes does not hold one request of n_ctx, OXCART_E_BUSY if another process uses the cache folder. */
OXCART_API enum oxcart_status oxcart_scheduler_open(struct oxcart_engine *engine,
                                                    const struct oxcart_scheduler_options *options,
                                                    struct oxcart_scheduler **out, struct oxcart_error *err);

/* Close and set *scheduler to NULL; *scheduler may be NULL. No thread may be inside its functions. Requests that are
 * still there end with OXCART_E_CANCELLED (their done is called here). */
OXCART_API void oxcart_scheduler_close(struct oxcart_scheduler **scheduler);

/* Answer requests until oxcart_scheduler_stop. */
OXCART_API void oxcart_scheduler_run(struct oxcart_scheduler *scheduler);

/* Read and write the cache folder until the scheduler has stopped and everything is written. Returns at once without a
 * cache folder. */
OXCART_API void oxcart_scheduler_run_disk(struct oxcart_scheduler *scheduler);

enum oxcart_stop {
    OXCART_STOP_FINISH, /* take no new requests, finish those that are there */
    OXCART_STOP_NOW     /* ... and end those too, with OXCART_E_CANCELLED */
};

/* Let run return. May be called again with OXCART_STOP_NOW. Not from a signal handler. */
OXCART_API void oxcart_scheduler_stop(struct oxcart_scheduler *scheduler, enum oxcart_stop how);

/* Called once for each request that was submitted, after its last event, on the thread inside run. result is there if
 * status is OXCART_OK or OXCART_E_CANCELLED; result->n_cached counts prompt tokens that were not computed for this
 * request. Both live during the call only. */
typedef void (*oxcart_done_handler)(void *user, enum oxcart_status status, const struct oxcart_result *result,
                                    const struct oxcart_error *err);

struct oxcart_request {
    size_t size;
    struct oxcart_prompt *prompt;            /* kept as long as it is needed, whatever the caller does */
    const struct oxcart_sampling *sampling;  /* copied, with what it points to; NULL: the defaults */
    uint64_t client;                         /* requests of one client wait for each other, those of others do not */
    oxcart_event_handler handler;            /* as in oxcart_session_decode: nonzero ends the request; may be NULL */
    oxcart_done_handler done;                /* may be NULL */
    void *user;
};

/* Hand in a request; *ticket (may be NULL) names it. OXCART_E_BUSY: the queue is full, OXCART_E_STATE: the prompt does not
 * fit into n_ctx, or a constraint wants tools or a tokenizer where there are none, OXCART_E_CANCELLED: the scheduler is
 * being stopped, OXCART_E_ARG: sampling makes no sense; done is not called then. Handlers may be called before this
 * returns. */
OXCART_API enum oxcart_status oxcart_scheduler_submit(struct oxcart_scheduler *scheduler,
                                                      const struct oxcart_request *request, uint64_t *ticket,
                                                      struct oxcart_error *err);

/* End a request early: at most one more of its tokens is drawn, then done is called with OXCART_E_CANCELLED. Does nothing
 * for a ticket that is done already. */
OXCART_API void oxcart_scheduler_cancel(struct oxcart_scheduler *scheduler, uint64_t ticket);

enum oxcart_slot_state {
    OXCART_SLOT_WAITING,  /* for a place among the running ones, or for memory */
    OXCART_SLOT_READING,  /* its beginning is read from the cache folder */
    OXCART_SLOT_PROMPT,   /* its prompt is computed */
    OXCART_SLOT_ANSWERING
};

/* A request that is running or waiting. */
struct oxcart_slot {
    uint64_t ticket;
    uint64_t client;
    enum oxcart_slot_state state;
    int32_t n_prompt;
    int32_t n_prompt_done; /* of it, computed or found */
    int32_t n_generated;
    double age_s;          /* since it was submitted */
};

/* Sums since the scheduler was opened, and what is the case now. Set size before the call. */
struct oxcart_scheduler_stats {
    size_t size;
    int32_t n_running;
    int32_t n_waiting;
    uint64_t n_requests;         /* submitted */
    uint64_t n_done;             /* ended, however */
    uint64_t n_cancelled;        /* of these, cancelled */
    uint64_t n_refused;          /* for a full queue */
    uint64_t n_prompt_tokens;    /* computed */
    uint64_t n_cached_tokens;    /* found */
    uint64_t n_generated_tokens;
    uint64_t n_passes;
    uint64_t n_paused;           /* how often a running request had to give its memory to others */
    uint64_t weight_bytes;       /* that passes read: each matrix they needed once a pass */
    double pass_s;               /* time in passes */
    double longest_pause_s;      /* between two tokens of an answer while prompts were computed or pictures encoded */
    uint64_t kv_bytes;           /* memory for blocks */
    uint64_t kv_used_bytes;      /* ... of running requests and kept beginnings */
    uint64_t kv_shared_bytes;    /* ... of this, kept beginnings that nobody uses now */
    uint64_t n_encoded;          /* pictures and clips */
    uint64_t media_used_bytes;   /* of those that are kept encoded */
    uint64_t cache_bytes;        /* in the cache folder */
    uint64_t cache_limit_bytes;
    uint64_t read_blocks;        /* from the cache folder */
    uint64_t written_blocks;
    uint64_t bad_blocks;         /* damaged or unreadable ones, removed */
    uint64_t dropped_blocks;     /* not written: the disk was too slow or full */
};
OXCART_API enum oxcart_status oxcart_scheduler_stats(struct oxcart_scheduler *scheduler,
                                                     struct oxcart_scheduler_stats *stats);

/* Copy up to n of the requests that run or wait to slots (running ones first); returns how many there are. */
OXCART_API size_t oxcart_scheduler_slots(struct oxcart_scheduler *scheduler, struct oxcart_slot *slots, size_t n);

/* ---- version --------------------------------------------------------------------------------------------------- */

/* "0.1.0" */
OXCART_API const char *oxcart_version(void);

#ifdef __cplusplus
}
#endif

#endif
