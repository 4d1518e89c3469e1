/* SPDX-License-Identifier: Apache-2.0
 *
 * Building JSON trees without a check at every step: what fails (out of memory) makes the whole tree NULL, and the one
 * who writes it out tells.
 */
#ifndef OX_BASE_JSON_BUILD_H
#define OX_BASE_JSON_BUILD_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* A string; bytes that are no UTF-8 become U+FFFD. NULL when out of memory, as all functions here; ox_json_set and
 * ox_json_append take that for a failure. */
json_t *ox_json_new_text(struct ox_str text);
json_t *ox_json_new_c(const char *text);

/* A byte count or id; a number with at most 6 digits behind the point, null if it is none. */
json_t *ox_json_new_natural(uint64_t n);
json_t *ox_json_new_real(double x);

/* Set object[key] = value, taking value. A failure makes *object NULL (and frees it); nothing is done if it is NULL. */
void ox_json_set(json_t **object, const char *key, json_t *value);

/* Append value (taken) to *array, likewise. */
void ox_json_append(json_t **array, json_t *value);

/* Append tree, without blanks, to buf, reals with the shortest digits that read back as they are (base/real.h). A NULL tree
 * marks buf as failed, and so does one that is more than 4,096 objects and arrays deep. */
void ox_json_write(const json_t *tree, struct ox_buf *buf);

#endif
