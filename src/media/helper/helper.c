/* SPDX-License-Identifier: Apache-2.0
 *
 * From operands to the end of the process; the jail is entered before the first byte of the input is looked at.
 */
#include "media/helper/helper.h"

#include <unistd.h>

#include "media/helper/jail.h"

enum { DONE = 0, FAILED = 1, WRONG_USE = 2 };

void ox_helper_run(int argc, char **argv, const struct ox_helper *helper)
{
    static const char text[] = "this program decodes pictures or clips for oxcart and is no program for people\n";
    struct ox_request request;
    struct ox_error err = {.code = OX_OK};
    enum ox_status status = OX_OK;
    if (argc < 1 || !ox_request_read((size_t)argc - 1, (const char *const *)argv + 1, &request)) {
        ox_jail_exit(write(STDERR_FILENO, text, sizeof text - 1) > 0 ? WRONG_USE : FAILED);
    }
    if (helper->prepare != NULL) {
        status = helper->prepare(helper->user, &err);
    }
    if (status == OX_OK) {
        status = ox_jail_enter(request.numbers[OX_OPERAND_MAX_BYTES], request.numbers[OX_OPERAND_TIMEOUT_S], &err);
    }
    if (status == OX_OK) {
        status = helper->decode(helper->user, &request, &err);
    }
    if (status != OX_OK) {
        ox_answer_error(&err);
    }
    ox_jail_exit(status == OX_OK ? DONE : FAILED);
}
