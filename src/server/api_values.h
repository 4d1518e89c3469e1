/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of a request, each at its place. All return false with an error of status 400 that names the place, as its param
 * too, where a value is not what it should be: "PATH: expected EXPECTED, found FOUND".
 */
#ifndef OX_SERVER_API_VALUES_H
#define OX_SERVER_API_VALUES_H

#include "base/json.h"
#include "server/api.h"

/* Refuse the value at a place; or what is well-formed but cannot be: "PATH: SENTENCE". */
bool ox_api_expected(const struct ox_json_at *at, const char *expected, struct ox_api_error *error);
bool ox_api_refuse_at(const struct ox_json_at *at, const char *sentence, struct ox_api_error *error);

/* Is there an object, or nothing? An array, or nothing? */
bool ox_api_maybe_object(const struct ox_json_at *at, struct ox_api_error *error) OX_MUST_USE;
bool ox_api_maybe_array(const struct ox_json_at *at, struct ox_api_error *error) OX_MUST_USE;

/* One member of an object, where it is there and not null. */
bool ox_api_read_real(const struct ox_json_at *object, const char *key, double low, double high, float *out,
                      struct ox_api_error *error) OX_MUST_USE;
bool ox_api_read_natural(const struct ox_json_at *object, const char *key, int64_t low, int64_t high, int64_t *out,
                         struct ox_api_error *error) OX_MUST_USE;
bool ox_api_read_bool(const struct ox_json_at *object, const char *key, bool *out,
                      struct ox_api_error *error) OX_MUST_USE;

/* The string under a key of an object, borrowed; it must be there. */
bool ox_api_text(const struct ox_json_at *object, const char *key, struct ox_str *out,
                 struct ox_api_error *error) OX_MUST_USE;

/* Is the value one of n texts? Is there an object whose "type" is one of n? Sets *which. */
bool ox_api_one_of(const struct ox_json_at *at, const char *const *texts, size_t n, size_t *which,
                   struct ox_api_error *error) OX_MUST_USE;
bool ox_api_type(const struct ox_json_at *at, const char *const *types, size_t n, size_t *which,
                 struct ox_api_error *error) OX_MUST_USE;

/* The client's messages or items: an array with at least one and at most --max-messages. */
bool ox_api_need_messages(const struct ox_api_context *context, const struct ox_json_at *at,
                          struct ox_api_error *error) OX_MUST_USE;

/* One more picture or clip, at a place: at most --max-images. */
bool ox_api_count_media(const struct ox_api_context *context, const struct ox_json_at *at, size_t *n,
                        struct ox_api_error *error) OX_MUST_USE;

#endif
