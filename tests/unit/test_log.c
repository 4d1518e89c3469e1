/* SPDX-License-Identifier: Apache-2.0
 *
 * The sink of messages: formatting, cutting, and sinks that are not there.
 */
#include "base/log.h"
#include "tests/tap.h"

struct seen {
    int n;
    enum ox_log_level level;
    char text[2048];
    char phase[32];
    uint64_t done;
    uint64_t total;
    char unit[16];
};

static void take_message(void *user, enum ox_log_level level, const char *text)
{
    struct seen *seen = user;
    seen->n++;
    seen->level = level;
    snprintf(seen->text, sizeof seen->text, "%s", text);
}

static void take_progress(void *user, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    struct seen *seen = user;
    seen->n++;
    snprintf(seen->phase, sizeof seen->phase, "%s", phase);
    snprintf(seen->unit, sizeof seen->unit, "%s", unit);
    seen->done = done;
    seen->total = total;
}

int main(void)
{
    struct seen seen = {0};
    const struct ox_log log = {take_message, take_progress, &seen};
    ox_log_message(&log, OX_LOG_WARNING, "%s %d", "tensor", 3);
    IS_STR(seen.text, "tensor 3", "a message");
    IS_INT(seen.level, OX_LOG_WARNING, "its level");
    ox_log_progress(&log, "verify", 5, UINT64_MAX, "bytes");
    OK(strcmp(seen.phase, "verify") == 0 && strcmp(seen.unit, "bytes") == 0 && seen.done == 5 &&
           seen.total == UINT64_MAX,
       "progress");
    IS_INT(seen.n, 2, "once each");

    char large[2000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    ox_log_message(&log, OX_LOG_INFO, "%s", large);
    IS_INT(strlen(seen.text), 1023, "a long message is cut at 1,023 bytes");
    large[1023] = '\0';
    ox_log_message(&log, OX_LOG_INFO, "%s", large);
    IS_INT(strlen(seen.text), 1023, "one of exactly so many is whole");

    const struct ox_log none = {0};
    ox_log_message(&none, OX_LOG_ERROR, "%d", 1);
    ox_log_progress(&none, "a", 1, 1, "b");
    ox_log_message(NULL, OX_LOG_ERROR, "%d", 1);
    ox_log_progress(NULL, "a", 1, 1, "b");
    OK(true, "no sink drops everything");
    return tap_done();
}
