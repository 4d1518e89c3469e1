/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources of media parts: files below the folder and nothing else, in the order of the prompt, with every refusal naming
 * its place and its option, and the conversation unchanged by it.
 */
#include "server/media_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "tests/oom.h"
#include "tests/tap.h"

static char folder[] = "test_media_source.XXXXXX";
static char absolute[4200];
static struct ox_media_options options;

static void put_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    OK(ox_file_write(path, text, strlen(text), NULL) == OX_OK, "%s is written", name);
}

/* A conversation with one part that names source (JSON of a string's inside). */
static json_t *one_part(const char *type, const char *source)
{
    json_t *url = json_pack("{s:s}", "url", source);
    return json_pack("{s:[{s:s,s:[{s:s,s:s},{s:s,s:o}]}]}", "messages", "role", "user", "content", "type", "text",
                     "text", "what?", "type", type, type, url);
}

/* Load root (taken); true with what is in the set joined by "|" in text. */
static bool load(json_t *root, char *text, size_t text_bytes, struct ox_api_error *error)
{
    struct ox_media_set set = {0};
    json_t *before = json_deep_copy(root);
    *error = (struct ox_api_error){0};
    text[0] = '\0';
    const bool good = ox_media_load(root, &options, NULL, &set, error);
    for (size_t i = 0; i < set.n_media; i++) {
        const size_t len = strlen(text);
        snprintf(text + len, text_bytes - len, "%s%.*s", i > 0 ? "|" : "", (int)set.media[i].n_bytes,
                 (const char *)set.media[i].bytes);
    }
    if (!good) {
        OK(json_equal(root, before) == 1 && set.n_media == 0 && set.media == NULL, "unchanged by a refusal");
    }
    ox_media_set_fini(&set);
    json_decref(before);
    json_decref(root);
    return good;
}

static void brings(const char *source, const char *expected)
{
    char text[256];
    struct ox_api_error error;
    OK(load(one_part("image_url", source), text, sizeof text, &error) && strcmp(text, expected) == 0,
       "%s brings \"%s\" (%s)", source, expected, error.message);
}

static void refuses(const char *source, const char *sentence)
{
    char text[256];
    char expected[512];
    struct ox_api_error error;
    snprintf(expected, sizeof expected, "messages[0].content[1].image_url: %s", sentence);
    const bool good = load(one_part("image_url", source), text, sizeof text, &error);
    OK(!good && strcmp(error.message, expected) == 0, "%.60s: %s", source, error.message);
    OK(error.http_status == 400 && strcmp(error.param, "messages[0].content[1].image_url") == 0, "400, and its place");
}

static const char none[] = "no such regular file below the folder of --media-path";

static void test_files(void)
{
    brings("a.png", "picture a");
    brings("file://a.png", "picture a");
    brings("FILE://a.png", "picture a");
    brings("sub/b.png", "picture b");
    brings("./sub/../a.png", "picture a");
    brings("file://sub%2Fb.png", "picture b");
    brings("file://%61.png", "picture a");
    brings("with blank.png", "blank");
    brings("file://with%20blank.png", "blank");
    brings("100%.png", "percent");
    char source[8600];
    snprintf(source, sizeof source, "%s/a.png", absolute);
    brings(source, "picture a");
    snprintf(source, sizeof source, "file://%s/sub/b.png", absolute);
    brings(source, "picture b");
    snprintf(source, sizeof source, "file://%s//a.png", absolute);
    brings(source, "picture a");

    static const char *const outside[] = {"missing.png",
                                          "sub",
                                          "sub/",
                                          ".",
                                          "..",
                                          "../outside.png",
                                          "sub/../../outside.png",
                                          "link.png",
                                          "linked/b.png",
                                          "up.png",
                                          "pipe",
                                          "/etc/passwd",
                                          "file:///etc/passwd",
                                          "file:///a.png",
                                          "file://localhost/etc/passwd",
                                          "//a.png",
                                          "/proc/self/environ",
                                          "file://..%2foutside.png",
                                          "file://%2e%2e/outside.png",
                                          "file://%",
                                          "file://%0",
                                          "file://%zz",
                                          "file://%00",
                                          "file://a.png%00.png",
                                          "a.png/",
                                          "unreadable/../../outside.png",
                                          "file://"};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        refuses(outside[i], none);
    }
    snprintf(source, sizeof source, "%s/../outside.png", absolute);
    refuses(source, none);
    snprintf(source, sizeof source, "%sx/a.png", absolute);
    refuses(source, none);
    snprintf(source, sizeof source, "file://%s", absolute);
    refuses(source, none);
    memset(source, 'x', 8192);
    source[8192] = '\0';
    refuses(source, none);
    refuses("empty.png", "there are no bytes");

    json_t *root = one_part("image_url", "a.png");
    json_t *part = json_array_get(json_object_get(json_array_get(json_object_get(root, "messages"), 0), "content"), 1);
    json_object_set_new(json_object_get(part, "image_url"), "url", json_stringn("a.png\0x", 7));
    char text[64];
    struct ox_api_error error;
    OK(!load(root, text, sizeof text, &error) && strstr(error.message, none) != NULL, "a NUL in a name");
}

static void test_other_sources(void)
{
    static const char other[] = "expected a data: URI, an http or https URL, file:// and a name, or a name";
    static const char *const sources[] = {"ftp://x/y", "file:a.png", "file:/a.png", "gopher://x",
                                          "DATA:,x",   "blob:x",     "a.b+c-1:x",   "javascript:x"};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        refuses(sources[i], other);
    }
    refuses(":x", none); /* no scheme: a name */
    refuses("http://example.org/x.png",
            "a URL is named, and no host may be asked; --allow-remote-media would allow one");
    refuses("HTTPS://example.org/x.png",
            "a URL is named, and no host may be asked; --allow-remote-media would allow one");
    static const char *const hosts[] = {"allowed.test"};
    options.hosts = hosts;
    options.n_hosts = 1;
    if (ox_fetch_is_built()) {
        refuses("http://example.org/x.png", "example.org, port 80, is not among the hosts of --allow-remote-media");
        refuses("http://169.254.169.254/", "169.254.169.254, port 80, is not among the hosts of --allow-remote-media");
    } else {
        refuses("http://example.org/x.png", "this build cannot fetch media (configured without libcurl)");
    }
    options.n_hosts = 0;
    const char *const kept = options.folder;
    options.folder = NULL;
    refuses("a.png", "a file is named, and files are not read; --media-path would allow them");
    refuses("file:///etc/passwd", "a file is named, and files are not read; --media-path would allow them");
    options.folder = kept;
}

static void test_limits(void)
{
    char text[256];
    struct ox_api_error error;
    options.max_bytes = 9;
    brings("a.png", "picture a"); /* 9 bytes */
    options.max_bytes = 8;
    refuses("a.png", "larger than 8 bytes, the limit of --max-body");
    options.max_bytes = 15;
    brings("data:,123456789012345", ""); /* 21 bytes of text: decoded 15 at most */
    refuses("data:,123456789012345678", "larger than 15 bytes, the limit of --max-body");
    options.max_bytes = 0;

    const char *two = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"image\":\"a.png\"},"
                      "{\"type\":\"video_url\",\"video_url\":\"sub/b.png\"}]}]}";
    options.max_media = 2;
    OK(load(json_loads(two, 0, NULL), text, sizeof text, &error) && strcmp(text, "picture a|picture b") == 0,
       "two of two: %s", error.message);
    options.max_media = 1;
    OK(!load(json_loads(two, 0, NULL), text, sizeof text, &error) && error.http_status == 400, "two of one");
    IS_STR(error.message, "messages[0].content[1].video_url: more than 1 pictures and clips, the limit of --max-images",
           "says so");
    options.max_media = 0;
    options.max_total_bytes = 18;
    OK(load(json_loads(two, 0, NULL), text, sizeof text, &error), "18 bytes together");
    options.max_total_bytes = 17;
    OK(!load(json_loads(two, 0, NULL), text, sizeof text, &error), "17 bytes together");
    IS_STR(error.message,
           "messages[0].content[1].video_url: the pictures and clips of the request are too large together", "says so");
    options.max_total_bytes = 0;
}

static void is_loaded(const char *json, const char *expected, const char *after, const char *name)
{
    char text[256];
    struct ox_api_error error;
    json_t *root = json_loads(json, 0, NULL);
    json_t *kept = json_incref(root);
    OK(load(root, text, sizeof text, &error) && strcmp(text, expected) == 0, "%s: \"%s\" (%s)", name, text,
       error.message);
    json_t *wanted = json_loads(after, 0, NULL);
    OK(wanted != NULL && json_equal(kept, wanted) == 1, "%s: the tree", name);
    json_decref(wanted);
    json_decref(kept);
}

static void is_refused(const char *json, const char *sentence)
{
    char text[256];
    struct ox_api_error error;
    OK(!load(json_loads(json, 0, NULL), text, sizeof text, &error) && strcmp(error.message, sentence) == 0 &&
           error.http_status == 400,
       "%s", error.message);
}

#define CALLS                                                                                                          \
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["                                                        \
    "{\"id\":\"one\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"                       \
    "{\"id\":\"two\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"

static void test_trees(void)
{
    /* Pictures and clips, data: URIs among them; every spelling of a source. */
    is_loaded("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"a.png\","
              "\"detail\":\"low\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,x\"}},"
              "{\"type\":\"video_url\",\"video_url\":\"sub/b.png\"},{\"type\":\"video\",\"path\":\"a.png\"},"
              "{\"type\":\"image\",\"source\":\"sub/b.png\"},\"and text\"]}]}",
              "picture a|picture b|picture a|picture b",
              "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"},{\"type\":\"image_url\","
              "\"image_url\":{\"url\":\"data:,x\"}},{\"type\":\"video\"},{\"type\":\"video\"},{\"type\":\"image\"},"
              "\"and text\"]}]}",
              "all spellings");
    /* Results of tools are shown in the order of the calls. */
    is_loaded("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}," CALLS
              ",{\"role\":\"tool\",\"tool_call_id\":\"two\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"sub/"
              "b.png\"}]}"
              ",{\"role\":\"tool\",\"tool_call_id\":\"one\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"a."
              "png\"}]}]}",
              "picture a|picture b",
              "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}," CALLS
              ",{\"role\":\"tool\",\"tool_call_id\":\"two\",\"content\":[{\"type\":\"image\"}]}"
              ",{\"role\":\"tool\",\"tool_call_id\":\"one\",\"content\":[{\"type\":\"image\"}]}]}",
              "tool results in another order");
    /* What the prompt leaves out is not read. */
    is_loaded("{\"messages\":[{\"role\":\"system\",\"content\":\"x\"},{\"role\":\"system\",\"content\":[{\"type\":"
              "\"image_url\","
              "\"image_url\":\"missing.png\"}]},{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
              "\"a.png\"}]}]}",
              "picture a",
              "{\"messages\":[{\"role\":\"system\",\"content\":\"x\"},{\"role\":\"system\",\"content\":[{\"type\":"
              "\"image_url\","
              "\"image_url\":\"missing.png\"}]},{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
              "a second system message");
    is_loaded("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "",
              "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "only text");
    /* Not conversations: left for the one who reads them, unless something would be loaded for them. */
    is_loaded("{\"messages\":7}", "", "{\"messages\":7}", "no list");
    is_loaded("[]", "", "[]", "no object");
    is_loaded("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":7}]}]}", "",
              "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":7}]}]}",
              "a wrong source");
    is_refused(
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"a.png\"},{\"type\":"
        "\"x\"}]}]}",
        "conversation: messages[0].content[1].type: expected text, image, video, image_url or video_url, found the "
        "string \"x\"");
    /* A part without a source would get another's. */
    is_refused("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"},{\"type\":\"image\",\"image\":\"a."
               "png\"}]}]}",
               "messages[0].content[0].image: expected a source: a data: URI or a URL");
    is_refused("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video\"}]}]}",
               "messages[0].content[0].video: expected a source: a data: URI or a URL");
}

/* Every allocation fails once. */
static void test_nomem(void)
{
    long n = 0;
    bool good = false;
    while (!good && n < 1000) {
        struct ox_media_set set = {0};
        struct ox_api_error error = {0};
        json_t *root =
            json_loads("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"image\":\"a.png\"},"
                       "{\"type\":\"video_url\",\"video_url\":\"file://sub/b.png\"}]}]}",
                       0, NULL);
        json_t *before = json_deep_copy(root);
        oom_arm(++n);
        good = ox_media_load(root, &options, NULL, &set, &error);
        if (oom_disarm() == good || (!good && (error.http_status != 503 || json_equal(root, before) != 1))) {
            OK(false, "without the %ld-th allocation: %s", n, error.message);
        }
        ox_media_set_fini(&set);
        json_decref(before);
        json_decref(root);
    }
    OK(good && n > 8, "%ld allocations, each of which may fail", n - 1);
}

int main(void)
{
    char cwd[4096];
    char path[128];
    if (mkdtemp(folder) == NULL || getcwd(cwd, sizeof cwd) == NULL) {
        tap_skip_all("no folder can be made");
    }
    snprintf(absolute, sizeof absolute, "%s/%s", cwd, folder);
    snprintf(path, sizeof path, "%s/in", folder);
    OK(mkdir(path, 0700) == 0, "a folder");
    snprintf(path, sizeof path, "%s/in/sub", folder);
    OK(mkdir(path, 0700) == 0, "a folder in it");
    put_file("outside.png", "secret");
    put_file("in/a.png", "picture a");
    put_file("in/sub/b.png", "picture b");
    put_file("in/with blank.png", "blank");
    put_file("in/100%.png", "percent");
    put_file("in/empty.png", "");
    static const char *const links[][2] = {
        {"../outside.png", "in/link.png"}, {"a.png", "in/up.png"}, {"sub", "in/linked"}};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, links[i][1]);
        OK(symlink(links[i][0], path) == 0, "a link");
    }
    snprintf(path, sizeof path, "%s/in/pipe", folder);
    OK(mkfifo(path, 0600) == 0, "a pipe");
    strncat(absolute, "/in", sizeof absolute - strlen(absolute) - 1);
    options = (struct ox_media_options){.folder = absolute};
    struct ox_buf probe = {0};
    const bool works = ox_file_read_below(absolute, "a.png", 64, &probe, NULL) != OX_E_DEVICE;
    ox_buf_fini(&probe);
    if (works) {
        test_files();
        test_other_sources();
        test_limits();
        test_trees();
        test_nomem();
    } else {
        SKIP("files below a folder", "this kernel has no openat2");
    }
    static const char *const made[] = {"in/link.png",
                                       "in/up.png",
                                       "in/linked",
                                       "in/pipe",
                                       "in/a.png",
                                       "in/sub/b.png",
                                       "in/with blank.png",
                                       "in/100%.png",
                                       "in/empty.png",
                                       "outside.png",
                                       "in/sub",
                                       "in",
                                       "."};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, made[i]);
        (void)remove(strcmp(made[i], ".") == 0 ? folder : path);
    }
    OK(access(folder, F_OK) != 0, "the folder is gone");
    return tap_done();
}
