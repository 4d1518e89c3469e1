/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart tokenize: text to ids, ids to text, conversations to prompts. Needs nothing of a model but tokenizer.json.
 */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/json_build.h"
#include "base/mem.h"
#include "cli/input.h"
#include "cli/json_out.h"
#include "os/file.h"
#include "text/chat.h"
#include "text/tokenizer.h"

#define MAX_TOKENIZER_BYTES ((size_t)256 << 20)

static bool has_suffix(const char *text, const char *suffix)
{
    const size_t len = strlen(text);
    const size_t suffix_len = strlen(suffix);
    return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

/* The path of tokenizer.json: in the folder, beside the file, or the file itself. NULL when out of memory. */
static char *find_tokenizer(const char *model)
{
    if (ox_file_is_folder(model) || !ox_file_exists(model)) {
        return ox_path_join(model, "tokenizer.json");
    }
    if (has_suffix(model, ".json")) {
        return ox_strdup(model);
    }
    const char *slash = strrchr(model, '/');
    char *folder = slash != NULL ? ox_strndup(model, (size_t)(slash - model) + 1) : ox_strdup(".");
    char *path = folder != NULL ? ox_path_join(folder, "tokenizer.json") : NULL;
    ox_free(folder);
    return path;
}

static int load_tokenizer(const struct cli *cli, struct ox_tokenizer **tokenizer)
{
    char *model = NULL;
    int code = cli_model_path(cli, &model);
    if (code != EXIT_DONE) {
        return code;
    }
    struct ox_buf text = {0};
    struct ox_error err = {0};
    const struct ox_log log = cli_log(cli);
    char *path = find_tokenizer(model);
    enum ox_status status = path != NULL ? OX_OK : ox_error_nomem(&err, strlen(model));
    if (status == OX_OK) {
        status = ox_file_read(path, MAX_TOKENIZER_BYTES, &text, &err);
    }
    if (status == OX_OK) {
        status = ox_tokenizer_new(ox_buf_str(&text), path, &log, tokenizer, &err);
    }
    ox_buf_fini(&text);
    ox_free(path);
    ox_free(model);
    return status == OX_OK ? EXIT_DONE : cli_fail_error(cli, &err, EXIT_MODEL);
}

/* ---- ids ------------------------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static int parse_ids(const struct cli *cli, struct ox_str text, struct ox_ids *ids)
{
    size_t i = 0;
    while (i < text.len) {
        if (is_blank(text.ptr[i])) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < text.len && !is_blank(text.ptr[end])) {
            end++;
        }
        uint64_t id;
        if (!ox_str_to_u64(ox_str_make(text.ptr + i, end - i), &id) || id > INT32_MAX) {
            return cli_fail(cli, EXIT_FAILED, "byte %zu: expected a token id, found '%.*s'", i,
                            (int)(end - i < 40 ? end - i : 40), text.ptr + i);
        }
        if (ox_ids_add(ids, (int32_t)id) != 0) {
            return cli_fail(cli, EXIT_MEMORY, "out of memory");
        }
        i = end;
    }
    return EXIT_DONE;
}

static void print_ids(struct output *output, const struct ox_ids *ids)
{
    for (size_t i = 0; i < ids->len; i++) {
        output_printf(output, "%s%" PRId32, i > 0 ? " " : "", ids->ptr[i]);
    }
    output_write(output, "\n", 1);
}

/* [{"id": 1, "text": "...", "bytes": [..], "special": false}] */
static void print_tokens(struct output *output, const struct ox_tokenizer *tokenizer, const struct ox_ids *ids)
{
    json_t *array = json_array();
    for (size_t i = 0; i < ids->len; i++) {
        const struct ox_str token = ox_tokenizer_bytes(tokenizer, ids->ptr[i]);
        json_t *bytes = json_array();
        for (size_t k = 0; k < token.len; k++) {
            ox_json_append(&bytes, json_integer((unsigned char)token.ptr[k]));
        }
        json_t *object = json_object();
        ox_json_set(&object, "id", json_integer(ids->ptr[i]));
        ox_json_set(&object, "text", ox_json_new_text(token));
        ox_json_set(&object, "bytes", bytes);
        ox_json_set(&object, "special", json_boolean(ox_tokenizer_is_special(tokenizer, ids->ptr[i])));
        ox_json_append(&array, object);
    }
    json_out_print(output, array, 0);
    json_decref(array);
}

static int encode(const struct cli *cli, const struct ox_tokenizer *tokenizer, struct ox_str text, struct ox_ids *ids)
{
    const struct ox_range all = {0, text.len};
    const bool plain = cli_given(&cli->args, OPT_NO_SPECIAL) && text.len > 0;
    struct ox_error err = {0};
    if (ox_tokenizer_encode(tokenizer, text, &all, plain ? 1 : 0, ids, &err) != OX_OK) {
        return cli_fail_error(cli, &err, EXIT_FAILED);
    }
    return EXIT_DONE;
}

/* ---- one text -------------------------------------------------------------------------------------------------- */

static int do_text(const struct cli *cli, const struct ox_tokenizer *tokenizer)
{
    struct ox_buf text = {0};
    struct ox_buf bytes = {0};
    struct ox_ids ids = {0};
    bool from_file;
    const bool decode = cli_given(&cli->args, OPT_DECODE);
    int code = input_text(cli, &text, &from_file);
    if (code == EXIT_DONE) {
        code = decode ? parse_ids(cli, ox_buf_str(&text), &ids) : encode(cli, tokenizer, ox_buf_str(&text), &ids);
    }
    if (code == EXIT_DONE && cli_given(&cli->args, OPT_JSON)) {
        print_tokens(cli->output, tokenizer, &ids);
    } else if (code == EXIT_DONE && decode) {
        ox_tokenizer_decode(tokenizer, ids.ptr, ids.len, cli_given(&cli->args, OPT_NO_SPECIAL), &bytes);
        if (ox_buf_failed(&bytes)) {
            code = cli_fail(cli, EXIT_MEMORY, "out of memory");
        } else {
            output_write(cli->output, bytes.ptr, bytes.len);
        }
    } else if (code == EXIT_DONE) {
        print_ids(cli->output, &ids);
    }
    ox_buf_fini(&text);
    ox_buf_fini(&bytes);
    ox_ids_fini(&ids);
    return code;
}

/* ---- many texts ------------------------------------------------------------------------------------------------ */

static int encode_element(const struct cli *cli, const struct ox_tokenizer *tokenizer, const struct ox_json_at *at,
                          json_t **out)
{
    struct ox_error err = {0};
    struct ox_str text;
    struct ox_ids ids = {0};
    if (ox_json_get_str(at, &text, &err) != OX_OK) {
        return cli_fail_error(cli, &err, EXIT_FAILED);
    }
    const int code = encode(cli, tokenizer, text, &ids);
    if (code == EXIT_DONE) {
        json_t *list = json_array();
        for (size_t i = 0; i < ids.len; i++) {
            ox_json_append(&list, json_integer(ids.ptr[i]));
        }
        ox_json_append(out, list);
    }
    ox_ids_fini(&ids);
    return code;
}

static int decode_element(const struct cli *cli, const struct ox_tokenizer *tokenizer, const struct ox_json_at *at,
                          json_t **out)
{
    struct ox_error err = {0};
    struct ox_buf bytes = {0};
    enum ox_status status = ox_json_need_array(at, &err);
    for (size_t i = 0; status == OX_OK && i < json_array_size(at->value); i++) {
        const struct ox_json_at element = ox_json_element(at, i);
        int64_t id;
        status = ox_json_get_i64(&element, 0, INT32_MAX, &id, &err);
        if (status == OX_OK) {
            const int32_t one = (int32_t)id;
            ox_tokenizer_decode(tokenizer, &one, 1, cli_given(&cli->args, OPT_NO_SPECIAL), &bytes);
        }
    }
    if (status == OX_OK) {
        ox_json_append(out, ox_buf_failed(&bytes) ? NULL : ox_json_new_text(ox_buf_str(&bytes)));
    }
    ox_buf_fini(&bytes);
    return status == OX_OK ? EXIT_DONE : cli_fail_error(cli, &err, EXIT_FAILED);
}

static int do_batch(const struct cli *cli, const struct ox_tokenizer *tokenizer)
{
    json_t *root = NULL;
    int code = input_json(cli, OPT_BATCH_FILE, &root);
    if (code != EXIT_DONE) {
        return code;
    }
    struct ox_error err = {0};
    const struct ox_json_at at = ox_json_root(root, cli->args.values[OPT_BATCH_FILE].text);
    json_t *out = json_array();
    if (ox_json_need_array(&at, &err) != OX_OK) {
        code = cli_fail_error(cli, &err, EXIT_FAILED);
    }
    for (size_t i = 0; code == EXIT_DONE && i < json_array_size(root); i++) {
        const struct ox_json_at element = ox_json_element(&at, i);
        code = cli_given(&cli->args, OPT_DECODE) ? decode_element(cli, tokenizer, &element, &out)
                                                 : encode_element(cli, tokenizer, &element, &out);
    }
    if (code == EXIT_DONE) {
        json_out_print(cli->output, out, 0);
    }
    json_decref(out);
    json_decref(root);
    return code;
}

/* ---- a conversation -------------------------------------------------------------------------------------------- */

static int render(const struct cli *cli, struct ox_prompt *prompt)
{
    const char *path = cli->args.values[OPT_CHAT_FILE].text;
    const struct ox_log log = cli_log(cli);
    struct ox_error err = {0};
    struct ox_chat *chat = NULL;
    json_t *root = NULL;
    const int code = input_json(cli, OPT_CHAT_FILE, &root);
    if (code != EXIT_DONE) {
        return code;
    }
    enum ox_status status = ox_chat_from_json(root, path, NULL, &log, &chat, &err);
    json_decref(root);
    if (status == OX_OK && cli_given(&cli->args, OPT_THINKING)) {
        enum ox_thinking thinking = OX_THINKING_ADAPTIVE;
        status = ox_thinking_parse(ox_str_c(cli->args.values[OPT_THINKING].text), &thinking, &err);
        ox_chat_set_thinking(chat, thinking);
    }
    if (status == OX_OK) {
        status = ox_chat_render(chat, prompt, &err);
    }
    ox_chat_free(chat);
    return status == OX_OK ? EXIT_DONE : cli_fail_error(cli, &err, EXIT_FAILED);
}

static int do_chat(const struct cli *cli)
{
    struct ox_prompt prompt = {0};
    struct ox_tokenizer *tokenizer = NULL;
    struct ox_ids ids = {0};
    struct ox_error err = {0};
    int code = render(cli, &prompt);
    if (code == EXIT_DONE && cli_given(&cli->args, OPT_TEXT)) {
        output_write(cli->output, prompt.text.ptr, prompt.text.len);
    } else if (code == EXIT_DONE) {
        code = load_tokenizer(cli, &tokenizer);
        const size_t n_plain = cli_given(&cli->args, OPT_ALLOW_SPECIAL) ? 0 : prompt.n_caller;
        if (code == EXIT_DONE && ox_tokenizer_encode(tokenizer, ox_buf_str(&prompt.text), prompt.caller, n_plain, &ids,
                                                     &err) != OX_OK) {
            code = cli_fail_error(cli, &err, EXIT_FAILED);
        }
        if (code == EXIT_DONE && cli_given(&cli->args, OPT_JSON)) {
            print_tokens(cli->output, tokenizer, &ids);
        } else if (code == EXIT_DONE) {
            print_ids(cli->output, &ids);
        }
    }
    ox_ids_fini(&ids);
    ox_tokenizer_free(tokenizer);
    ox_prompt_fini(&prompt);
    return code;
}

/* Options that make no sense together. */
static int check(const struct cli *cli)
{
    const struct cli_args *args = &cli->args;
    const bool text = cli_given(args, OPT_PROMPT) || cli_given(args, OPT_FILE);
    const bool chat = cli_given(args, OPT_CHAT_FILE);
    const bool batch = cli_given(args, OPT_BATCH_FILE);
    if ((chat && batch) || (text && (chat || batch))) {
        return cli_fail(cli, EXIT_USAGE, "expected one of --prompt, --file, --batch and --chat");
    }
    if (chat && (cli_given(args, OPT_DECODE) || cli_given(args, OPT_NO_SPECIAL))) {
        return cli_fail(cli, EXIT_USAGE, "--decode and --no-special do not go with --chat");
    }
    if (!chat && (cli_given(args, OPT_TEXT) || cli_given(args, OPT_THINKING) || cli_given(args, OPT_ALLOW_SPECIAL))) {
        return cli_fail(cli, EXIT_USAGE, "--text, --thinking and --allow-special go with --chat only");
    }
    if (cli_given(args, OPT_JSON) && (batch || cli_given(args, OPT_TEXT))) {
        return cli_fail(cli, EXIT_USAGE, "--json does not go with --batch or --text");
    }
    return EXIT_DONE;
}

int verb_tokenize(const struct cli *cli)
{
    struct ox_tokenizer *tokenizer = NULL;
    int code = check(cli);
    if (code != EXIT_DONE) {
        return code;
    }
    if (cli_given(&cli->args, OPT_CHAT_FILE)) {
        return do_chat(cli);
    }
    code = load_tokenizer(cli, &tokenizer);
    if (code == EXIT_DONE) {
        code = cli_given(&cli->args, OPT_BATCH_FILE) ? do_batch(cli, tokenizer) : do_text(cli, tokenizer);
    }
    ox_tokenizer_free(tokenizer);
    return code;
}
