/* SPDX-License-Identifier: Apache-2.0
 *
 * validate_json SCHEMA: is standard input one JSON document that validates against the schema in the file SCHEMA? Exit 0,
 * or 1 with the reason. For the test scripts.
 */
#include <stdio.h>

#include "tests/schema_validate.h"

int main(int argc, char **argv)
{
    json_error_t error;
    json_t *schema = argc == 2 ? json_load_file(argv[1], JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error) : NULL;
    if (schema == NULL) {
        fprintf(stderr, "no schema\n");
        return 2;
    }
    json_t *value = json_loadf(stdin, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    const bool good = value != NULL && validates(schema, schema, value, 0);
    if (value == NULL) {
        fprintf(stderr, "no JSON: %s\n", error.text);
    } else if (!good) {
        fprintf(stderr, "does not validate\n");
    }
    json_decref(value);
    json_decref(schema);
    return good ? 0 : 1;
}
