/* SPDX-License-Identifier: Apache-2.0
 *
 * Random schemas, random documents that satisfy them, random replies under a mask, and vocabularies for the tests and
 * benchmarks of grammars.
 */
#ifndef OX_TESTS_SCHEMA_RANDOM_H
#define OX_TESTS_SCHEMA_RANDOM_H

#include <jansson.h>

#include "base/buf.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "text/matcher.h"

static inline uint32_t pick(struct ox_rng *rng, uint32_t n)
{
    return (uint32_t)ox_rng_below(rng, n);
}

/* ---- schemas ---- */

static const char *const schema_patterns[] = {"^[a-c]{2,4}$",  "^x", "y$", "^(ab|c)*$", "b", "^[0-9]+-[A-Z]$",
                                              "^[A-Q.-]{1,3}$"};
static const char *const schema_matches[] = {"abc", "xyz", "why", "ababc", "abc", "12-Q", "A-1"};
#define N_SCHEMA_PATTERNS 7U
static const char *const schema_names[] = {"a", "ab", "b", "name", "na\"me", "kind", "\xC3\xA9", "x_y"};
#define N_SCHEMA_NAMES 8U

static inline json_t *random_schema(struct ox_rng *rng, int depth);

static inline json_t *random_text(struct ox_rng *rng, uint32_t n_max)
{
    static const char *const parts[] = {"a", "Z", " ", "\"", "\\", "\n", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
                                        "0", "/"};
    struct ox_buf text = {0};
    const uint32_t n = pick(rng, n_max + 1);
    for (uint32_t i = 0; i < n; i++) {
        ox_buf_add_c(&text, parts[pick(rng, 11)]);
    }
    json_t *value = json_stringn(ox_buf_text(&text), text.len);
    ox_buf_fini(&text);
    return value;
}

static inline json_t *random_string_schema(struct ox_rng *rng)
{
    json_t *schema = json_pack("{s:s}", "type", "string");
    const uint32_t low = pick(rng, 4);
    switch (pick(rng, 5)) {
    case 0:
        json_object_set_new(schema, "minLength", json_integer(low));
        json_object_set_new(schema, "maxLength", json_integer(low + pick(rng, 6)));
        break;
    case 1:
        json_object_set_new(schema, "pattern", json_string(schema_patterns[pick(rng, N_SCHEMA_PATTERNS)]));
        break;
    case 2:
        json_object_set_new(schema, "format", json_string("date"));
        break;
    case 3:
        json_object_set_new(schema, "enum", json_pack("[o,o,s]", random_text(rng, 3), random_text(rng, 5), "last"));
        break;
    default:
        break;
    }
    return schema;
}

static inline json_t *random_number_schema(struct ox_rng *rng)
{
    const bool integer = pick(rng, 2) == 0;
    const int64_t low = (int64_t)pick(rng, 400) - 200;
    const int64_t high = low + 1 + pick(rng, 300);
    json_t *schema = json_pack("{s:s}", "type", integer ? "integer" : "number");
    if (pick(rng, 2) == 0) {
        json_object_set_new(schema, pick(rng, 2) == 0 || integer ? "minimum" : "exclusiveMinimum",
                            integer || pick(rng, 2) == 0 ? json_integer(low) : json_real((double)low + 0.25));
    }
    if (pick(rng, 2) == 0) {
        json_object_set_new(schema, pick(rng, 2) == 0 || integer ? "maximum" : "exclusiveMaximum",
                            integer || pick(rng, 2) == 0 ? json_integer(high) : json_real((double)high - 0.125));
    }
    return schema;
}

static inline json_t *random_array_schema(struct ox_rng *rng, int depth)
{
    json_t *schema = json_pack("{s:s, s:o}", "type", "array", "items", random_schema(rng, depth - 1));
    const uint32_t low = pick(rng, 3);
    if (pick(rng, 2) == 0) {
        json_object_set_new(schema, "minItems", json_integer(low));
        json_object_set_new(schema, "maxItems", json_integer(low + pick(rng, 3)));
    }
    if (pick(rng, 3) == 0) {
        json_object_set_new(schema, "prefixItems",
                            json_pack("[o,o]", random_schema(rng, depth - 1), random_schema(rng, 0)));
    }
    return schema;
}

static inline json_t *random_object_schema(struct ox_rng *rng, int depth)
{
    json_t *properties = json_object();
    json_t *required = json_array();
    const uint32_t n = pick(rng, 5);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = schema_names[pick(rng, N_SCHEMA_NAMES)];
        if (json_object_get(properties, name) == NULL && pick(rng, 2) == 0) {
            json_array_append_new(required, json_string(name));
        }
        json_object_set_new(properties, name, random_schema(rng, depth - 1));
    }
    json_t *schema = json_pack("{s:s, s:o, s:o}", "type", "object", "properties", properties, "required", required);
    const uint32_t others = pick(rng, 4);
    if (others < 2) {
        json_object_set_new(schema, "additionalProperties", others == 0 ? json_false() : random_schema(rng, 0));
    }
    return schema;
}

/* A schema that may refer to #/$defs/d (random_root makes it), nested to depth. */
static inline json_t *random_schema(struct ox_rng *rng, int depth)
{
    switch (pick(rng, depth > 0 ? 11 : 5)) {
    case 0:
        return json_pack("{s:[s,s]}", "type", pick(rng, 2) == 0 ? "boolean" : "integer", "null");
    case 1:
    case 2:
        return random_string_schema(rng);
    case 3:
        return random_number_schema(rng);
    case 4:
        return json_pack("{s:[o,i,f,b,n,[s,i]]}", "enum", random_text(rng, 4), 17, -2.5, 1, "in", 1);
    case 5:
    case 6:
        return random_array_schema(rng, depth);
    case 7:
        return json_pack("{s:[o,o]}", "anyOf", random_schema(rng, depth - 1), random_schema(rng, depth - 1));
    case 8:
        return json_pack("{s:s}", "$ref", "#/$defs/d");
    default:
        return random_object_schema(rng, depth);
    }
}

static inline json_t *random_root(struct ox_rng *rng)
{
    json_t *root = random_schema(rng, 3);
    json_t *inner = json_pack("{s:s, s:{s:{s:s}, s:o}, s:[s]}", "type", "object", "properties", "more", "$ref",
                              "#/$defs/d", "v", random_schema(rng, 0), "required", "v");
    json_object_set_new(root, "$defs", json_pack("{s:o}", "d", inner));
    return root;
}

/* ---- documents ---- */

/* A document that satisfies schema (of random_root's kind), members in the order of the schema; NULL if luck has it
 * that none is found. */
static inline json_t *random_instance(struct ox_rng *rng, json_t *root, json_t *schema, int depth);

static inline json_t *random_object(struct ox_rng *rng, json_t *root, json_t *schema, int depth)
{
    json_t *object = json_object();
    json_t *required = json_object_get(schema, "required");
    json_t *others = json_object_get(schema, "additionalProperties");
    bool good = true;
    const char *key;
    json_t *of;
    json_object_foreach(json_object_get(schema, "properties"), key, of)
    {
        bool wanted = depth < 8 && pick(rng, 2) == 0;
        for (size_t i = 0; i < json_array_size(required); i++) {
            wanted = wanted || strcmp(json_string_value(json_array_get(required, i)), key) == 0;
        }
        json_t *member = wanted ? random_instance(rng, root, of, depth + 1) : NULL;
        good = good && (!wanted || member != NULL);
        if (member != NULL) {
            json_object_set_new(object, key, member);
        }
    }
    if (json_is_object(others) && pick(rng, 2) == 0) {
        json_t *member = random_instance(rng, root, others, depth + 1);
        if (member != NULL) {
            json_object_set_new(object, pick(rng, 2) == 0 ? "other" : "nam", member);
        }
    }
    if (!good) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static inline json_t *random_array(struct ox_rng *rng, json_t *root, json_t *schema, int depth)
{
    json_t *array = json_array();
    json_t *prefix = json_object_get(schema, "prefixItems");
    const json_t *most = json_object_get(schema, "maxItems");
    const size_t low = (size_t)json_integer_value(json_object_get(schema, "minItems"));
    size_t n = low + (depth < 8 ? pick(rng, 4) : 0);
    n = most != NULL && n > (size_t)json_integer_value(most) ? (size_t)json_integer_value(most) : n;
    for (size_t i = 0; i < n; i++) {
        json_t *of = i < json_array_size(prefix) ? json_array_get(prefix, i) : json_object_get(schema, "items");
        json_t *element = random_instance(rng, root, of, depth + 1);
        if (element == NULL || json_array_append_new(array, element) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static inline json_t *random_string(struct ox_rng *rng, json_t *schema)
{
    json_t *pattern = json_object_get(schema, "pattern");
    const json_t *low = json_object_get(schema, "minLength");
    const json_t *high = json_object_get(schema, "maxLength");
    for (size_t i = 0; pattern != NULL && i < N_SCHEMA_PATTERNS; i++) {
        if (strcmp(json_string_value(pattern), schema_patterns[i]) == 0) {
            return json_string(schema_matches[i]);
        }
    }
    if (json_object_get(schema, "format") != NULL) {
        return json_sprintf("%04u-%02u-%02u", pick(rng, 3000), 1 + pick(rng, 12), 1 + pick(rng, 28));
    }
    for (int tries = 0; tries < 200; tries++) {
        json_t *text = random_text(rng, high != NULL ? (uint32_t)json_integer_value(high) : 6);
        size_t n = 0;
        for (size_t i = 0; i < json_string_length(text); i++) {
            n += ((unsigned char)json_string_value(text)[i] & 0xC0) != 0x80 ? 1 : 0;
        }
        if (low == NULL || n >= (size_t)json_integer_value(low)) {
            return text;
        }
        json_decref(text);
    }
    return NULL;
}

static inline json_t *random_number(struct ox_rng *rng, json_t *schema)
{
    const bool integer = strcmp(json_string_value(json_object_get(schema, "type")), "integer") == 0;
    const json_t *bound = json_object_get(schema, "minimum");
    bound = bound != NULL ? bound : json_object_get(schema, "exclusiveMinimum");
    double x = (double)pick(rng, 1000) - 500;
    if (bound != NULL) {
        x = json_number_value(bound) + 0.5;
    } else if (json_object_get(schema, "maximum") != NULL) {
        x = json_number_value(json_object_get(schema, "maximum")) - 0.5;
    } else if (json_object_get(schema, "exclusiveMaximum") != NULL) {
        x = json_number_value(json_object_get(schema, "exclusiveMaximum")) - 0.5;
    }
    if (integer) {
        return json_integer((json_int_t)(bound != NULL ? x + 0.5 : x - 0.5));
    }
    return json_real(x);
}

static inline json_t *random_instance(struct ox_rng *rng, json_t *root, json_t *schema, int depth)
{
    json_t *list = json_object_get(schema, "anyOf");
    if (depth > 60) {
        return NULL;
    }
    if (list != NULL) {
        return random_instance(rng, root, json_array_get(list, pick(rng, (uint32_t)json_array_size(list))), depth);
    }
    if (json_object_get(schema, "$ref") != NULL) {
        return random_instance(rng, root, json_object_get(json_object_get(root, "$defs"), "d"), depth);
    }
    list = json_object_get(schema, "enum");
    if (list != NULL) {
        return json_deep_copy(json_array_get(list, pick(rng, (uint32_t)json_array_size(list))));
    }
    json_t *type = json_object_get(schema, "type");
    if (json_is_array(type)) {
        type = json_array_get(type, pick(rng, (uint32_t)json_array_size(type)));
    }
    const char *name = json_string_value(type);
    if (strcmp(name, "object") == 0) {
        return random_object(rng, root, schema, depth);
    }
    if (strcmp(name, "array") == 0) {
        return random_array(rng, root, schema, depth);
    }
    if (strcmp(name, "string") == 0) {
        return random_string(rng, schema);
    }
    if (strcmp(name, "boolean") == 0) {
        return json_boolean(pick(rng, 2) == 0);
    }
    if (strcmp(name, "null") == 0) {
        return json_null();
    }
    return json_is_array(json_object_get(schema, "type")) ? json_integer((json_int_t)pick(rng, 100) - 50)
                                                          : random_number(rng, schema);
}

/* ---- vocabularies ---- */

struct vocabulary {
    struct ox_str *tokens;
    int32_t n;
    struct ox_buf bytes;
};

/* n tokens: the 256 bytes, then words as byte-level BPE makes them (with and without a blank before them), pieces of
 * JSON, runs of blanks, numbers of up to 3 digits, characters of many scripts, and pieces that end in the middle of a
 * character. All bytes of all tokens lie in `bytes`. */
static inline void make_vocabulary(struct vocabulary *v, int32_t n, uint64_t seed)
{
    static const char *const syllables[] = {"an", "be",  "co", "der", "en", "fi",  "ge",  "ha",  "in", "jo",
                                            "ka", "le",  "mi", "no",  "on", "pre", "qu",  "re",  "st", "ti",
                                            "un", "ver", "wa", "ex",  "ya", "zo",  "ing", "ion", "S",  "_"};
    static const char *const marks[] = {"\"",  "\",",  "\":", "\": ", "\": \"", "\", \"", "{\"",  "\"}", "\"]", "[\"",
                                        "\\n", "\\\"", "\\u", "},",   "],",     "{}",     "[]",   "}}",  ": ",  ", ",
                                        "\n",  "\n\n", "\t",  "!\"",  ".\"",    "e\"",    "a\":", "\\"};
    struct ox_rng rng;
    ox_rng_init(&rng, seed);
    memset(v, 0, sizeof *v);
    size_t *begins = calloc((size_t)n + 1, sizeof *begins);
    v->tokens = calloc((size_t)n, sizeof *v->tokens);
    v->n = n;
    for (int32_t id = 0; id < n; id++) {
        begins[id] = v->bytes.len;
        const uint32_t kind = pick(&rng, 100);
        if (id < 256) {
            ox_buf_add_byte(&v->bytes, (char)(unsigned char)id);
        } else if (id < 284) {
            ox_buf_add_c(&v->bytes, marks[id - 256]);
        } else if (id < 1284) {
            ox_buf_printf(&v->bytes, "%d", (int)id - 284);
        } else if (id < 1350) {
            ox_buf_printf(&v->bytes, "%s%*s", id % 2 == 0 ? "\n" : "", 1 + (int)(id - 1284) / 2, "");
        } else if (kind < 18) {
            char text[4];
            for (uint32_t i = 0; i < 1 + pick(&rng, 5); i++) {
                ox_buf_add(&v->bytes, text, ox_utf8_encode(0xC0 + pick(&rng, kind < 9 ? 0x600 : 0x9000), text));
            }
            ox_buf_cut(&v->bytes, v->bytes.len - (kind < 2 ? 1 : 0));
        } else {
            ox_buf_add_c(&v->bytes, kind < 65 ? " " : "");
            for (uint32_t i = 0; i < 1 + pick(&rng, 4); i++) {
                ox_buf_add_c(&v->bytes, syllables[pick(&rng, 30)]);
            }
            ox_buf_add_c(&v->bytes, kind > 96 ? marks[pick(&rng, 28)] : "");
        }
    }
    begins[n] = v->bytes.len;
    for (int32_t id = 0; id < n; id++) {
        v->tokens[id] = ox_str_make(v->bytes.ptr + begins[id], begins[id + 1] - begins[id]);
    }
    free(begins);
}

static inline void free_vocabulary(struct vocabulary *v)
{
    free(v->tokens);
    ox_buf_fini(&v->bytes);
}

/* ---- replies ---- */

/* One of the tokens of the mask, -1 if there is none. */
static inline int32_t random_token(struct ox_rng *rng, const uint64_t *mask, size_t n_words)
{
    size_t n = 0;
    for (size_t w = 0; w < n_words; w++) {
        n += (size_t)__builtin_popcountll(mask[w]);
    }
    size_t k = n > 0 ? (size_t)ox_rng_below(rng, n) : 0;
    for (size_t w = 0; w < n_words && n > 0; w++) {
        const size_t here = (size_t)__builtin_popcountll(mask[w]);
        for (int32_t bit = 0; k < here && bit < 64; bit++) {
            if ((mask[w] >> bit & 1) != 0 && k-- == 0) {
                return (int32_t)(64 * w) + bit;
            }
        }
        k -= here;
    }
    return -1;
}

/* A reply drawn under masks; once it is long, tokens that end something are taken where they may be. False if there is
 * no token, one of the mask is not accepted, or it never ends. The vocabulary's first 256 tokens are the bytes. */
static inline bool random_reply(struct ox_rng *rng, struct ox_matcher *matcher, const struct vocabulary *v,
                                size_t n_words, size_t n_long, struct ox_buf *text)
{
    for (size_t n = 0; n < n_long + 20000; n++) {
        static const char ends[] = "\"y}]"; /* y: what a pattern may want at its end */
        const uint64_t *mask;
        if (ox_matcher_is_complete(matcher) && (n > n_long || pick(rng, 4) == 0)) {
            return true;
        }
        if (ox_matcher_mask(matcher, &mask, NULL) != OX_OK) {
            return false;
        }
        int32_t id = random_token(rng, mask, n_words);
        if (id < 0) {
            return ox_matcher_is_complete(matcher);
        }
        const uint32_t k = pick(rng, n > n_long ? 5 : 16);
        for (uint32_t i = 0; i < 4 && k < 4; i++) {
            const int32_t end = (unsigned char)ends[(k + i) % 4];
            if (n > n_long ? ox_mask_has(mask, (unsigned char)ends[i]) : ox_mask_has(mask, end)) {
                id = n > n_long ? (unsigned char)ends[i] : end;
                break;
            }
        }
        if (ox_matcher_token(matcher, id, NULL) != OX_OK) {
            return false;
        }
        ox_buf_add_str(text, v->tokens[id]);
    }
    return false;
}

#endif
