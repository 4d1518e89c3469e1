/* SPDX-License-Identifier: Apache-2.0
 *
 * The chat page's files: embedded byte for byte, found by their paths, and clean: nothing inline that the policy forbids,
 * nothing from elsewhere.
 */
#include "server/page.h"

#include "base/buf.h"
#include "os/file.h"
#include "tests/tap.h"

/* Where asset lies in the source tree. */
static void is_the_file(const struct ox_page_asset *asset)
{
    char name[256];
    struct ox_buf file = {0};
    struct ox_error err = {0};
    snprintf(name, sizeof name, "../src/server/page/%s",
             strcmp(asset->path, "/") == 0 ? "index.html" : asset->path + 1);
    const enum ox_status status = ox_file_read(tap_file(name), (size_t)1 << 20, &file, &err);
    OK(status == OX_OK && file.len == asset->n_bytes && memcmp(file.ptr, asset->bytes, file.len) == 0,
       "%s is the file, %zu bytes", asset->path, asset->n_bytes);
    ox_buf_fini(&file);
}

static bool holds(const struct ox_page_asset *asset, const char *word)
{
    const struct ox_str text = ox_str_make((const char *)asset->bytes, asset->n_bytes);
    return ox_str_find(text, ox_str_c(word), 0) < text.len;
}

/* What the policy would block, and what would let the model's text be read as HTML. */
static void is_clean(const struct ox_page_asset *asset)
{
    static const char *const words[] = {
        "style=\"",       " onclick=",    " onload=",     "javascript:", "innerHTML", "outerHTML", "insertAdjacentHTML",
        "document.write", "eval(",        "new Function", "https://",    "@import",   "srcdoc",    "DOMParser",
        "<style",         "setTimeout(\""};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        OK(!holds(asset, words[i]), "no %s in %s", words[i], asset->path);
    }
}

int main(void)
{
    OK(ox_page_n_assets == 5, "%zu files", ox_page_n_assets);
    for (size_t i = 0; i < ox_page_n_assets; i++) {
        const struct ox_page_asset *asset = &ox_page_assets[i];
        is_the_file(asset);
        is_clean(asset);
        const size_t len = strlen(asset->etag);
        OK(len > 4 && asset->etag[0] == '"' && asset->etag[len - 1] == '"' &&
               strchr(asset->etag + 1, '"') == asset->etag + len - 1,
           "%s has the tag %s", asset->path, asset->etag);
        OK(ox_page_find(ox_str_c(asset->path)) == asset, "%s is found", asset->path);
        for (size_t j = 0; j < i; j++) {
            OK(strcmp(asset->etag, ox_page_assets[j].etag) != 0, "%s and %s have different tags", asset->path,
               ox_page_assets[j].path);
        }
    }
    const struct ox_page_asset *index = ox_page_find(ox_str_c("/"));
    IS_STR(index != NULL ? index->content_type : "", "text/html; charset=utf-8", "the page is HTML");
    static const char *const missing[] = {"", "/index.html", "/page", "//", "/embed.sh", "/../page.h", "/icon.svg/"};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        OK(ox_page_find(ox_str_c(missing[i])) == NULL, "nothing at \"%s\"", missing[i]);
    }
    return tap_done();
}
