/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask: keys, Host, Origin, Content-Type.
 */
#include "server/access.h"

#include "tests/tap.h"

static enum ox_status read_keys(struct ox_access *access, const char *text, struct ox_error *err)
{
    *access = (struct ox_access){0};
    return ox_access_read_keys(access, ox_str_c(text), "keys", err);
}

static void test_keys(void)
{
    struct ox_access access = {0};
    struct ox_error err = {0};
    OK(ox_access_key_ok(&access, NULL, NULL), "no keys: everybody may ask");
    OK(read_keys(&access, "# ours\n\nalpha\r\n \tbeta \n", &err) == OX_OK && access.n_keys == 2, "two keys");
    OK(!ox_access_key_ok(&access, NULL, NULL), "a key is needed");
    OK(ox_access_key_ok(&access, "Bearer alpha", NULL) && ox_access_key_ok(&access, "bearer  beta ", NULL),
       "Bearer, in any case, blanks around");
    OK(ox_access_key_ok(&access, NULL, "beta"), "x-api-key");
    OK(ox_access_key_ok(&access, "Bearer wrong", "alpha") && ox_access_key_ok(&access, "Bearer alpha", "wrong"),
       "one of both is enough");
    static const char *const wrong[] = {"", "alph", "alphaa", "alphaalpha", "Alpha", "# ours", "beta\n", "alpha beta"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        OK(!ox_access_key_ok(&access, NULL, wrong[i]), "not '%s'", wrong[i]);
    }
    OK(!ox_access_key_ok(&access, "alpha", NULL) && !ox_access_key_ok(&access, "Basic alpha", NULL) &&
           !ox_access_key_ok(&access, "Bearer", NULL) && !ox_access_key_ok(&access, "Bearer ", NULL),
       "other schemes are none");
    ox_access_fini(&access);
    OK(access.n_keys == 0, "gone");
    OK(read_keys(&access, "\n# only this\n", &err) == OX_E_FORMAT, "no key: an error");
    ox_access_fini(&access);
    OK(read_keys(&access, "good\nb\xC3\xA4" "d\n", &err) == OX_E_FORMAT && strstr(err.message, "line 2") != NULL,
       "other characters: %s", err.message);
    ox_access_fini(&access);
    OK(read_keys(&access, "two words\n", &err) == OX_E_FORMAT, "blanks within");
    ox_access_fini(&access);
    char longest[1024 + 3];
    memset(longest, 'k', sizeof longest);
    longest[1024] = '\0';
    OK(read_keys(&access, longest, &err) == OX_OK && ox_access_key_ok(&access, NULL, longest), "1,024 characters");
    ox_access_fini(&access);
    longest[1024] = 'k';
    longest[1025] = '\0';
    OK(read_keys(&access, longest, &err) == OX_E_FORMAT, "one more");
    ox_access_fini(&access);
}

static void test_host(void)
{
    static const char *const good[] = {"localhost",  "LOCALHOST:8080",  "127.0.0.1",     "127.0.0.1:1", "[::1]",
                                       "[::1]:8080", "chat.localhost:1", "127.255.255.254", "localhost:"};
    static const char *const bad[] = {"",         "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
                                      "10.0.0.1", "127.0.0",      "127.0.0.1.1",       "[::2]",                  "::1",
                                      "[::1",     "localhost:x",  "evillocalhost",     ".localhost",             "128.0.0.1",
                                      "127.0.0.", "localhost:1:2"};
    const struct ox_access local = {.local = true};
    const struct ox_access other = {0};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        OK(ox_access_host_ok(&local, good[i]), "Host '%s'", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        OK(!ox_access_host_ok(&local, bad[i]), "not '%s'", bad[i]);
        OK(ox_access_host_ok(&other, bad[i]), "unless the server is there for others");
    }
    OK(ox_access_host_ok(&local, NULL), "HTTP/1.0 has none");
}

static void test_origin(void)
{
    const struct ox_access plain = {0};
    const struct ox_access tls = {.tls = true, .cors_origin = "https://pages.example"};
    OK(ox_access_origin_ok(&plain, NULL, "a:1"), "no Origin");
    OK(ox_access_origin_ok(&plain, "http://a:1", "a:1"), "its own");
    OK(!ox_access_origin_ok(&plain, "https://a:1", "a:1"), "another scheme");
    OK(!ox_access_origin_ok(&plain, "http://a:2", "a:1"), "another port");
    OK(!ox_access_origin_ok(&plain, "http://a:1", NULL), "no Host to compare with");
    OK(!ox_access_origin_ok(&plain, "null", "null"), "null");
    OK(ox_access_origin_ok(&tls, "https://a:1", "a:1"), "its own with TLS");
    OK(ox_access_origin_ok(&tls, "https://pages.example", "a:1"), "--cors-origin");
    OK(!ox_access_origin_ok(&tls, "https://pages.example.evil", "a:1"), "not a longer one");
    OK(ox_access_origin_is_cors(&tls, "https://pages.example") && !ox_access_origin_is_cors(&tls, "https://a:1") &&
           !ox_access_origin_is_cors(&plain, "https://pages.example") && !ox_access_origin_is_cors(&tls, NULL),
       "only that one is told");
}

static void test_json(void)
{
    OK(ox_access_is_json("application/json") && ox_access_is_json("Application/JSON; charset=utf-8") &&
           ox_access_is_json("application/json ;x"),
       "JSON");
    OK(!ox_access_is_json(NULL) && !ox_access_is_json("") && !ox_access_is_json("text/plain") &&
           !ox_access_is_json("application/jsonl") && !ox_access_is_json("text/plain; application/json"),
       "no JSON");
}

int main(void)
{
    test_keys();
    test_host();
    test_origin();
    test_json();
    return tap_done();
}
