/* SPDX-License-Identifier: Apache-2.0
 *
 * PCRE2 matches by interpretation: its compiler needs memory that is writable and executable, which a hardened service
 * forbids, and at 14 MB/s of text (70 MB/s compiled; 2-core x86-64) cutting is no part of the time to the first token.
 * Every run of one kind of character up to 1 MB was measured linear for the known patterns.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretok.h"

#include <pcre2.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

/* Steps that one match may take: some, and a few for each byte (a run of capitals takes one a byte). */
#define STEPS_BASE 200000U
#define STEPS_PER_BYTE 4U
/* Memory that one match may take for its way back, in KiB. */
#define HEAP_KIB 65536U
#define NESTING_MAX 100U

/* White space of Unicode, as members of a class. PCRE2's own \s also takes U+180E, up to version 10.42 at least, which
 * has not been white space since Unicode 6.3. Source: PropList.txt, White_Space. */
static const char space[] = "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"
                            "\\x{202f}\\x{205f}\\x{3000}";
static const char no_space[] = "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}"
                               "\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}"
                               "\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";

struct ox_pretok {
    pcre2_code *code;
};

struct ox_pretok_scratch {
    pcre2_match_context *context;
    pcre2_match_data *data;
};

/* Source: pre_tokenizer of the released models' tokenizer.json; the two differ in the slash. */
#define LETTERS                                                                                                        \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"                        \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"                                                                                   \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"                        \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+"
#define BLANKS "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
static const char known_slash[] = LETTERS "[\\r\\n/]*" BLANKS;
static const char known_no_slash[] = LETTERS "[\\r\\n]*" BLANKS;

bool ox_pretok_known(struct ox_str pattern)
{
    return ox_str_is(pattern, known_slash) || ox_str_is(pattern, known_no_slash);
}

static void *memory_get(size_t size, void *user)
{
    (void)user;
    return ox_realloc(NULL, size, 1);
}

static void memory_free(void *p, void *user)
{
    (void)user;
    ox_free(p);
}

/* Append pattern to out with \s and \S spelled out. Returns NULL, or what in it cannot be matched as meant. */
static const char *rewrite(struct ox_str pattern, struct ox_buf *out)
{
    bool in_class = false;
    bool at_start = false; /* of a class: ']' is a member there */
    for (size_t i = 0; i < pattern.len; i++) {
        const char c = pattern.ptr[i];
        const char next = i + 1 < pattern.len ? pattern.ptr[i + 1] : '\0';
        const bool was_start = at_start;
        at_start = false;
        if (c == '\0') {
            return "a NUL character";
        }
        if (c == '\\' && i + 1 < pattern.len) {
            if (next == 'h' || next == 'H' || next == 'Q' || next == 'E') {
                return "\\h, \\H, \\Q or \\E, which regular expression engines read differently";
            }
            if (next == 's' || next == 'S') {
                ox_buf_add_c(out, in_class ? "" : "[");
                ox_buf_add_c(out, next == 's' ? space : no_space);
                ox_buf_add_c(out, in_class ? "" : "]");
                if (in_class && i + 2 < pattern.len && pattern.ptr[i + 2] == '-') {
                    ox_buf_add_c(out, "\\-"); /* a member, no range from the list's last character */
                    i++;
                }
            } else {
                ox_buf_add(out, pattern.ptr + i, 2);
            }
            i++;
            continue;
        }
        if (in_class && ((c == '[' && next != ':') || (c == '&' && next == '&'))) {
            return "a character class within a class";
        }
        if (in_class && c == '[') {
            const size_t end = ox_str_find(pattern, ox_str_c(":]"), i);
            if (end == pattern.len) {
                return "a character class within a class";
            }
            ox_buf_add(out, pattern.ptr + i, end + 2 - i);
            i = end + 1;
            continue;
        }
        if (!in_class && c == '[') {
            in_class = true;
            at_start = true;
        } else if (in_class && c == '^' && was_start) {
            at_start = pattern.ptr[i - 1] == '[';
        } else if (in_class && c == ']' && !was_start) {
            in_class = false;
        }
        ox_buf_add_byte(out, c);
    }
    return NULL;
}

/* Compile the rewritten pattern. Oniguruma's '^' and '$' stand at every line; classes and case follow Unicode. */
static enum ox_status compile(struct ox_str pattern, const char *what, struct ox_pretok *pretok, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    pcre2_general_context *general = pcre2_general_context_create(memory_get, memory_free, NULL);
    pcre2_compile_context *context = general != NULL ? pcre2_compile_context_create(general) : NULL;
    if (context == NULL) {
        status = ox_error_nomem(err, pattern.len);
        goto out;
    }
    if (pcre2_set_newline(context, PCRE2_NEWLINE_LF) != 0 || pcre2_set_parens_nest_limit(context, NESTING_MAX) != 0) {
        status = ox_error_set(err, OX_E_FORMAT, "%s: PCRE2 refuses its settings", what);
        goto out;
    }
    int code = 0;
    PCRE2_SIZE offset = 0;
    pretok->code =
        pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &offset, context);
    if (pretok->code == NULL && code == PCRE2_ERROR_HEAP_FAILED) {
        status = ox_error_nomem(err, pattern.len);
    } else if (pretok->code == NULL) {
        PCRE2_UCHAR reason[100];
        reason[0] = '\0';
        if (pcre2_get_error_message(code, reason, sizeof reason) < 0) {
            reason[sizeof reason - 1] = '\0';
        }
        status = ox_error_set(err, OX_E_FORMAT, "%s: pre_tokenizer: Regex: expected a regular expression, found %s",
                              what, (const char *)reason);
    }
out:
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    return status;
}

enum ox_status ox_pretok_new(struct ox_str pattern, const char *what, struct ox_pretok **out, struct ox_error *err)
{
    enum ox_status status;
    struct ox_pretok *pretok = NULL;
    struct ox_buf rewritten;
    ox_buf_init(&rewritten);
    if (pattern.len == 0) {
        return ox_error_set(err, OX_E_FORMAT, "%s: pre_tokenizer: Regex: expected a pattern, found an empty one", what);
    }
    if (pattern.len > OX_PRETOK_PATTERN_BYTES_MAX) {
        return ox_error_set(err, OX_E_LIMIT, "%s: pre_tokenizer: Regex: expected at most %d bytes, found %zu", what,
                            OX_PRETOK_PATTERN_BYTES_MAX, pattern.len);
    }
    const char *odd = rewrite(pattern, &rewritten);
    if (odd != NULL) {
        status = ox_error_set(err, OX_E_FORMAT, "%s: pre_tokenizer: Regex: found %s", what, odd);
        goto out;
    }
    pretok = ox_calloc(1, sizeof *pretok);
    if (pretok == NULL || ox_buf_failed(&rewritten)) {
        status = ox_error_nomem(err, pattern.len);
        goto out;
    }
    status = compile(ox_buf_str(&rewritten), what, pretok, err);
    if (status == OX_OK) {
        *out = pretok;
        pretok = NULL;
    }
out:
    ox_pretok_free(pretok);
    ox_buf_fini(&rewritten);
    return status;
}

void ox_pretok_free(struct ox_pretok *pretok)
{
    if (pretok != NULL) {
        pcre2_code_free(pretok->code);
        ox_free(pretok);
    }
}

enum ox_status ox_pretok_open(const struct ox_pretok *pretok, struct ox_pretok_run *run, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    memset(run, 0, sizeof *run);
    run->pretok = pretok;
    pcre2_general_context *general = pcre2_general_context_create(memory_get, memory_free, NULL);
    run->scratch = ox_calloc(1, sizeof *run->scratch);
    if (general != NULL && run->scratch != NULL) {
        run->scratch->context = pcre2_match_context_create(general);
        run->scratch->data = pcre2_match_data_create(1, general);
    }
    if (run->scratch == NULL || run->scratch->context == NULL || run->scratch->data == NULL) {
        ox_pretok_close(run);
        status = ox_error_nomem(err, sizeof *run->scratch);
    } else {
        pcre2_set_heap_limit(run->scratch->context, HEAP_KIB);
    }
    pcre2_general_context_free(general);
    return status;
}

void ox_pretok_close(struct ox_pretok_run *run)
{
    if (run->scratch != NULL) {
        pcre2_match_context_free(run->scratch->context);
        pcre2_match_data_free(run->scratch->data);
        ox_free(run->scratch);
    }
    memset(run, 0, sizeof *run);
}

void ox_pretok_start(struct ox_pretok_run *run, struct ox_str text)
{
    run->text = text;
    run->begin = 0;
    run->search = 0;
    run->ready = 0;
    const size_t most = (UINT32_MAX - STEPS_BASE) / STEPS_PER_BYTE;
    const uint32_t len = (uint32_t)(text.len < most ? text.len : most);
    pcre2_set_match_limit(run->scratch->context, STEPS_BASE + STEPS_PER_BYTE * len);
}

/* Find the first match at or behind run->search that ends behind it: [*from, *to), or both at the text's end if there
 * is none. An empty match is a border: *to is *from then, and it lies behind run->begin. */
static enum ox_status find(struct ox_pretok_run *run, size_t *from, size_t *to, struct ox_error *err)
{
    while (run->search < run->text.len) {
        const int rc = pcre2_match(run->pretok->code, (PCRE2_SPTR)run->text.ptr, run->text.len, run->search,
                                   PCRE2_NO_UTF_CHECK, run->scratch->data, run->scratch->context);
        if (rc == PCRE2_ERROR_NOMATCH) {
            break;
        }
        if (rc == PCRE2_ERROR_NOMEMORY) {
            return ox_error_nomem(err, run->text.len);
        }
        if (rc < 0) {
            return ox_error_set(err, OX_E_LIMIT,
                                "the pattern of the pre-tokenizer takes too long or too much memory on a text of %zu "
                                "bytes (PCRE2 error %d)",
                                run->text.len, rc);
        }
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(run->scratch->data);
        /* \K can move the begin of a match to either side. */
        *from = ends[0] < run->search ? run->search : ends[0];
        *to = ends[1] < *from ? *from : ends[1];
        if (*to > *from) {
            run->search = *to;
            return OX_OK;
        }
        if (*from >= run->text.len) {
            break;
        }
        uint32_t code;
        run->search = *from + ox_utf8_decode(ox_str_make(run->text.ptr + *from, run->text.len - *from), &code);
        if (*from > run->begin) {
            return OX_OK;
        }
    }
    run->search = run->text.len;
    *from = run->text.len;
    *to = run->text.len;
    return OX_OK;
}

enum ox_status ox_pretok_next(struct ox_pretok_run *run, struct ox_str *piece, struct ox_error *err)
{
    size_t end = run->ready;
    run->ready = 0;
    if (end == 0 && run->begin < run->text.len) {
        size_t from = 0;
        const enum ox_status status = find(run, &from, &end, err);
        if (status != OX_OK) {
            return status;
        }
        if (from > run->begin) {
            run->ready = end > from ? end : 0;
            end = from;
        }
    }
    const size_t len = end > run->begin ? end - run->begin : 0;
    *piece = ox_str_make(run->text.ptr + run->begin, len);
    run->begin += len;
    return OX_OK;
}
