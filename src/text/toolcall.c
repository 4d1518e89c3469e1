/* SPDX-License-Identifier: Apache-2.0
 *
 * Tool calls out of a reply's content. Everything undecided lies in one buffer, `held`: a tag that may still turn out
 * to be text, and the raw text of the call that is open; so whatever fails can be given out whole.
 */
#include "text/toolcall.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/toolargs.h"

static const char block_begin[] = OX_TEXT_TOOL_CALL_BEGIN;
static const char block_end[] = OX_TEXT_TOOL_CALL_END;
static const char invoke[] = "<invoke";
static const char invoke_name[] = " name=\"";
static const char invoke_key[] = "invoke name=\""; /* an invoke where only a parameter can be */
static const char invoke_end[] = "/invoke";

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static size_t count_blanks(struct ox_str text)
{
    size_t n = 0;
    while (n < text.len && is_blank(text.ptr[n])) {
        n++;
    }
    return n;
}

/* The held bytes from `at` on. */
static struct ox_str held_from(const struct ox_toolcall *t, size_t at)
{
    return ox_str_make(t->held.ptr + at, t->held.len - at);
}

static void emit_content(struct ox_toolcall *t, struct ox_str text)
{
    t->emit(t->user, OX_REPLY_CONTENT, -1, text);
}

static void emit_arguments(struct ox_toolcall *t, struct ox_str text)
{
    t->emit(t->user, OX_REPLY_CALL_ARGUMENTS, t->index, text);
}

static void emit_escaped(struct ox_toolcall *t, struct ox_str text)
{
    ox_buf_clear(&t->json);
    ox_json_add_escaped(&t->json, text);
    t->no_memory = t->no_memory || ox_buf_failed(&t->json);
    emit_arguments(t, ox_buf_str(&t->json));
}

static void hold(struct ox_toolcall *t, struct ox_str text)
{
    ox_buf_add_str(&t->held, text);
    t->no_memory = t->no_memory || ox_buf_failed(&t->held);
}

/* How many bytes of text, in whole characters, the limit of a call still allows to hold. */
static size_t fitting(const struct ox_toolcall *t, struct ox_str text)
{
    size_t room = OX_TOOLCALL_BYTES - t->held.len;
    if (text.len <= room) {
        return text.len;
    }
    while (room > 0 && ((unsigned char)text.ptr[room] & 0xC0) == 0x80) {
        room--;
    }
    return room;
}

/* ---- elements ---- */

static void clear_element(struct ox_toolcall_element *element)
{
    ox_buf_fini(&element->key);
    ox_buf_fini(&element->text);
    ox_buf_fini(&element->children);
    ox_free(element->child);
    memset(element, 0, sizeof *element);
}

/* Forget what is known about the call that is open. */
static void clear_call(struct ox_toolcall *t)
{
    while (t->depth > 0) {
        clear_element(&t->element[--t->depth]);
    }
    json_decref(t->keys);
    t->keys = NULL;
    t->schema = NULL;
    t->n_params = 0;
}

static void open_element(struct ox_toolcall *t, struct ox_str key)
{
    const json_t *parent = t->depth > 0 ? t->element[t->depth - 1].schema : t->schema;
    struct ox_toolcall_element *element = &t->element[t->depth++];
    ox_buf_add_str(&element->key, key);
    t->no_memory = t->no_memory || ox_buf_failed(&element->key);
    element->schema = ox_toolargs_child(t->schema, parent, key);
    element->types = ox_toolargs_types(t->schema, element->schema);
}

static struct ox_str child_key(const struct ox_toolcall_element *element, size_t i)
{
    return ox_str_make(element->children.ptr + element->child[i].key_at, element->child[i].key_len);
}

static struct ox_str child_json(const struct ox_toolcall_element *element, size_t i)
{
    return ox_str_make(element->children.ptr + element->child[i].json_at, element->child[i].json_len);
}

/* Chain children of the same name; false: no memory. */
static bool chain_children(struct ox_toolcall_element *element)
{
    json_t *latest = json_object();
    bool ok = latest != NULL;
    for (size_t i = 0; i < element->n_child && ok; i++) {
        const struct ox_str key = child_key(element, i);
        const json_t *before = json_object_getn(latest, key.ptr, key.len);
        if (before != NULL) {
            element->child[json_integer_value(before)].next = i;
            element->child[i].follows = true;
        }
        ok = json_object_setn_new(latest, key.ptr, key.len, json_integer((json_int_t)i)) == 0;
    }
    json_decref(latest);
    return ok;
}

/* Append an element with children as JSON: an array if all are called item, else an object; what comes more than once
 * in it is an array. */
static void add_nested(struct ox_toolcall *t, struct ox_toolcall_element *element, struct ox_buf *buf)
{
    bool is_array = true;
    for (size_t i = 0; i < element->n_child; i++) {
        is_array = is_array && ox_str_is(child_key(element, i), "item");
    }
    if (!is_array && !chain_children(element)) {
        t->no_memory = true;
        return;
    }
    ox_buf_add_byte(buf, is_array ? '[' : '{');
    for (size_t i = 0; i < element->n_child; i++) {
        const struct ox_toolcall_child *child = &element->child[i];
        if (child->follows) {
            continue;
        }
        ox_buf_add_c(buf, i > 0 ? ", " : "");
        if (!is_array) {
            ox_json_add_quoted(buf, child_key(element, i));
            ox_buf_add_c(buf, child->next > 0 ? ": [" : ": ");
        }
        ox_buf_add_str(buf, child_json(element, i));
        for (size_t k = child->next; k > 0; k = element->child[k].next) {
            ox_buf_add_c(buf, ", ");
            ox_buf_add_str(buf, child_json(element, k));
        }
        ox_buf_add_c(buf, child->next > 0 ? "]" : "");
    }
    ox_buf_add_byte(buf, is_array ? ']' : '}');
}

static void add_child(struct ox_toolcall *t, struct ox_toolcall_element *parent, struct ox_str key, struct ox_str json)
{
    void *child = parent->child;
    if (ox_grow(&child, &parent->child_cap, parent->n_child + 1, sizeof parent->child[0]) != 0) {
        t->no_memory = true;
        return;
    }
    parent->child = child;
    parent->child[parent->n_child++] = (struct ox_toolcall_child){
        parent->children.len, key.len, parent->children.len + key.len, json.len, 0, false,
    };
    ox_buf_add_str(&parent->children, key);
    ox_buf_add_str(&parent->children, json);
    t->no_memory = t->no_memory || ox_buf_failed(&parent->children);
}

/* Is this element written out while it comes? */
static bool is_streamed(const struct ox_toolcall *t)
{
    return t->depth == 1 && ox_toolargs_streams(t->element[0].types);
}

/* The innermost element is complete. */
static void close_element(struct ox_toolcall *t)
{
    struct ox_toolcall_element *element = &t->element[t->depth - 1];
    if (is_streamed(t) && !element->is_nested) {
        if (!element->is_text) {
            emit_arguments(t, ox_str_c("\""));
            emit_escaped(t, ox_buf_str(&element->text));
        }
        emit_arguments(t, ox_str_c("\""));
    } else {
        struct ox_buf *json = &t->json;
        ox_buf_clear(json);
        if (element->is_nested) {
            add_nested(t, element, json);
        } else {
            ox_toolargs_add(json, element->types, ox_buf_str(&element->text));
        }
        t->no_memory = t->no_memory || ox_buf_failed(json);
        if (t->depth == 1) {
            emit_arguments(t, ox_buf_str(json));
        } else {
            add_child(t, &t->element[t->depth - 2], ox_buf_str(&element->key), ox_buf_str(json));
        }
    }
    clear_element(element);
    t->depth--;
    t->state = t->depth > 0 ? OX_TOOLCALL_VALUE : OX_TOOLCALL_PARAMS;
}

/* ---- calls ---- */

/* The call is malformed. Its parts are forgotten; what is held stays, and grows until something else begins. */
static void fail(struct ox_toolcall *t)
{
    clear_call(t);
    t->state = OX_TOOLCALL_FAILED;
}

/* Give out the first n held bytes as a failed call. */
static void emit_failed(struct ox_toolcall *t, size_t n)
{
    clear_call(t);
    t->emit(t->user, OX_REPLY_CALL_FAILED, t->index, ox_str_make(t->held.ptr, n));
}

static void begin_block(struct ox_toolcall *t)
{
    ox_buf_clear(&t->held);
    t->state = OX_TOOLCALL_BLOCK;
    t->in_tag = false;
    t->stray = false;
}

/* NS<invoke stands at the end of what is held: what is before it is gone. */
static void begin_invoke(struct ox_toolcall *t)
{
    const size_t len = t->held.len - t->tag_at;
    memmove(t->held.ptr, t->held.ptr + t->tag_at, len);
    ox_buf_cut(&t->held, len);
    t->name_at = len;
    t->state = OX_TOOLCALL_INVOKE;
    t->in_tag = false;
    t->index = -1;
}

static void begin_call(struct ox_toolcall *t)
{
    const struct ox_str name = ox_str_make(t->held.ptr + t->name_at, t->held.len - t->name_at - 2);
    t->index = t->n_begun++;
    t->schema = ox_toolargs_find(t->tools, name);
    t->keys = json_object();
    t->no_memory = t->no_memory || t->keys == NULL;
    t->state = OX_TOOLCALL_PARAMS;
    t->emit(t->user, OX_REPLY_CALL_BEGIN, t->index, name);
    emit_arguments(t, ox_str_c("{"));
}

static void end_call(struct ox_toolcall *t)
{
    emit_arguments(t, ox_str_c("}"));
    t->emit(t->user, OX_REPLY_CALL_DONE, t->index, ox_str_make("", 0));
    t->n_done++;
    clear_call(t);
    begin_block(t);
}

/* Begin a parameter; false: the call has one of this name already, and what is out cannot be changed into an array. */
static bool begin_param(struct ox_toolcall *t, struct ox_str key)
{
    if (json_object_getn(t->keys, key.ptr, key.len) != NULL) {
        return false;
    }
    if (json_object_setn_new(t->keys, key.ptr, key.len, json_true()) != 0) {
        t->no_memory = true;
    }
    emit_arguments(t, ox_str_c(t->n_params > 0 ? ", \"" : "\""));
    emit_escaped(t, key);
    emit_arguments(t, ox_str_c("\": "));
    t->n_params++;
    open_element(t, key);
    t->state = OX_TOOLCALL_VALUE;
    return true;
}

/* Too much is held: it goes out as it is, and what follows is text. */
static void spill(struct ox_toolcall *t)
{
    if (t->state == OX_TOOLCALL_OUT || t->state == OX_TOOLCALL_BLOCK) {
        emit_content(t, ox_buf_str(&t->held));
    } else {
        emit_failed(t, t->held.len);
        t->state = OX_TOOLCALL_BLOCK;
    }
    ox_buf_clear(&t->held);
    t->in_tag = false;
    t->stray = true;
}

/* ---- tags ---- */

/* What stands behind the NS is not what can stand there. */
static void break_tag(struct ox_toolcall *t)
{
    t->in_tag = false;
    if (t->state == OX_TOOLCALL_OUT || t->state == OX_TOOLCALL_BLOCK) {
        spill(t);
        return;
    }
    if (t->state == OX_TOOLCALL_FAILED) {
        return;
    }
    /* The same tag again, as one behind a failed call: it may begin the next call or end the block. */
    struct ox_buf tag;
    ox_buf_init(&tag);
    ox_buf_add_str(&tag, held_from(t, t->tag_at + strlen(OX_TEXT_NAMESPACE)));
    t->no_memory = t->no_memory || ox_buf_failed(&tag);
    ox_buf_cut(&t->held, t->tag_at);
    fail(t);
    ox_toolcall_namespace(t);
    ox_toolcall_text(t, ox_buf_str(&tag));
    ox_buf_fini(&tag);
}

/* Where calls begin and blocks end. */
static void read_block_tag(struct ox_toolcall *t, struct ox_str tag)
{
    if (ox_str_is(tag, invoke)) {
        if (t->state == OX_TOOLCALL_FAILED) {
            emit_failed(t, t->tag_at);
        }
        begin_invoke(t);
    } else if (ox_str_is(tag, block_end)) {
        if (t->state == OX_TOOLCALL_FAILED) {
            emit_failed(t, t->tag_at);
        }
        ox_buf_clear(&t->held);
        t->state = OX_TOOLCALL_OUT;
        t->in_tag = false;
    } else if (!ox_str_starts(ox_str_c(invoke), tag) && !ox_str_starts(ox_str_c(block_end), tag)) {
        break_tag(t);
    }
}

/* A whole tag between parameters; name is what stands between < and >. */
static void read_param_tag(struct ox_toolcall *t, struct ox_str name)
{
    t->in_tag = false;
    if (ox_str_is(name, invoke_end)) {
        end_call(t);
    } else if (ox_str_starts(name, ox_str_c("/")) || ox_str_starts(name, ox_str_c(invoke_key)) ||
               !begin_param(t, name)) {
        break_tag(t);
    }
}

/* A whole tag in a value. */
static void read_value_tag(struct ox_toolcall *t, struct ox_str name)
{
    struct ox_toolcall_element *element = &t->element[t->depth - 1];
    t->in_tag = false;
    if (ox_str_starts(name, ox_str_c("/"))) {
        const struct ox_str closed = ox_str_make(name.ptr + 1, name.len - 1);
        if (ox_str_equal(closed, ox_buf_str(&element->key))) {
            close_element(t);
        } else if (t->depth == 1 && ox_str_is(name, invoke_end)) {
            close_element(t);
            end_call(t);
        } else {
            break_tag(t);
        }
        return;
    }
    if (element->is_text || t->depth == OX_TOOLCALL_DEPTH || ox_str_starts(name, ox_str_c(invoke_key))) {
        break_tag(t);
        return;
    }
    element->is_nested = true;
    open_element(t, name);
}

/* One more character of a tag. */
static void take_tag(struct ox_toolcall *t, struct ox_str character)
{
    const size_t at = t->held.len;
    hold(t, character);
    if (t->no_memory || (t->tag_text_at == 0 && is_blank(*character.ptr))) {
        return;
    }
    if (t->tag_text_at == 0) {
        t->tag_text_at = at;
    }
    const struct ox_str tag = held_from(t, t->tag_text_at);
    if (tag.ptr[0] != '<') {
        break_tag(t);
    } else if (t->state == OX_TOOLCALL_OUT) {
        if (ox_str_is(tag, block_begin)) {
            begin_block(t);
        } else if (!ox_str_starts(ox_str_c(block_begin), tag)) {
            break_tag(t);
        }
    } else if (t->state == OX_TOOLCALL_BLOCK || t->state == OX_TOOLCALL_FAILED) {
        read_block_tag(t, tag);
    } else if (*character.ptr == '>' && t->state == OX_TOOLCALL_PARAMS) {
        read_param_tag(t, ox_str_make(tag.ptr + 1, tag.len - 2));
    } else if (*character.ptr == '>') {
        read_value_tag(t, ox_str_make(tag.ptr + 1, tag.len - 2));
    }
}

/* ---- text ---- */

/* One more character of ` name="NAME">`. */
static void take_name(struct ox_toolcall *t, struct ox_str character)
{
    hold(t, character);
    if (t->no_memory) {
        return;
    }
    const struct ox_str text = held_from(t, t->name_at);
    if (t->state == OX_TOOLCALL_INVOKE) {
        if (ox_str_is(text, invoke_name)) {
            t->state = OX_TOOLCALL_NAME;
            t->name_at = t->held.len;
        } else if (!ox_str_starts(ox_str_c(invoke_name), text)) {
            fail(t);
        }
    } else if (text.len >= 2 && memcmp(text.ptr + text.len - 2, "\">", 2) == 0) {
        begin_call(t);
    }
}

/* Text between the calls of a block: blanks that turn out to stand between tags are dropped. */
static void take_block_text(struct ox_toolcall *t, struct ox_str text)
{
    if (!t->stray) {
        hold(t, text);
        if (count_blanks(text) == text.len) {
            return;
        }
        spill(t);
    } else {
        emit_content(t, text);
    }
}

/* Text in a parameter's value. */
static void take_value(struct ox_toolcall *t, struct ox_str text)
{
    struct ox_toolcall_element *element = &t->element[t->depth - 1];
    const bool blank = count_blanks(text) == text.len;
    hold(t, text);
    if (element->is_nested) {
        if (!blank) {
            fail(t);
        }
        return;
    }
    if (is_streamed(t) && element->is_text) {
        emit_escaped(t, text);
        return;
    }
    ox_buf_add_str(&element->text, text);
    t->no_memory = t->no_memory || ox_buf_failed(&element->text);
    if (!blank && !element->is_text) {
        element->is_text = true;
        if (is_streamed(t)) {
            emit_arguments(t, ox_str_c("\""));
            emit_escaped(t, ox_buf_str(&element->text));
            ox_buf_clear(&element->text);
        }
    }
}

/* Take some of text, at least one character or a change of state; returns how many bytes. */
static size_t take(struct ox_toolcall *t, struct ox_str text)
{
    uint32_t code;
    const bool whole = !t->in_tag && t->state != OX_TOOLCALL_INVOKE && t->state != OX_TOOLCALL_NAME;
    if (whole && (t->state == OX_TOOLCALL_OUT || (t->state == OX_TOOLCALL_BLOCK && t->stray))) {
        emit_content(t, text);
        return text.len;
    }
    const size_t wanted = whole ? text.len : ox_utf8_decode(text, &code);
    const struct ox_str part = ox_str_make(text.ptr, fitting(t, ox_str_make(text.ptr, wanted)));
    if (part.len > 0) {
        if (t->in_tag) {
            take_tag(t, part);
        } else if (!whole) {
            take_name(t, part);
        } else if (t->state == OX_TOOLCALL_BLOCK) {
            take_block_text(t, part);
        } else if (t->state == OX_TOOLCALL_VALUE) {
            take_value(t, part);
        } else {
            hold(t, part);
            if (t->state == OX_TOOLCALL_PARAMS && count_blanks(part) < part.len) {
                fail(t);
            }
        }
    }
    if (part.len < wanted) {
        spill(t);
    }
    return part.len;
}

void ox_toolcall_init(struct ox_toolcall *t, const json_t *tools, ox_toolcall_emit emit, void *user)
{
    memset(t, 0, sizeof *t);
    t->tools = tools;
    t->emit = emit;
    t->user = user;
    t->index = -1;
}

void ox_toolcall_fini(struct ox_toolcall *t)
{
    clear_call(t);
    ox_buf_fini(&t->held);
    ox_buf_fini(&t->json);
}

void ox_toolcall_text(struct ox_toolcall *t, struct ox_str text)
{
    size_t at = 0;
    while (at < text.len && !t->no_memory) {
        at += take(t, ox_str_make(text.ptr + at, text.len - at));
    }
}

void ox_toolcall_namespace(struct ox_toolcall *t)
{
    const struct ox_str marker = ox_str_c(OX_TEXT_NAMESPACE);
    if (t->in_tag) {
        break_tag(t);
    }
    if (t->in_tag) {
        break_tag(t); /* what broke in a call was taken again behind the failed call, and breaks there too */
    }
    if (t->state == OX_TOOLCALL_INVOKE || t->state == OX_TOOLCALL_NAME) {
        fail(t);
    }
    if (fitting(t, marker) < marker.len) {
        spill(t);
    }
    t->in_tag = true;
    t->tag_at = t->held.len;
    t->tag_text_at = 0;
    hold(t, marker);
}

void ox_toolcall_finish(struct ox_toolcall *t)
{
    if (t->in_tag) {
        break_tag(t);
    }
    if (t->no_memory) {
        return;
    }
    if (t->state != OX_TOOLCALL_OUT && t->state != OX_TOOLCALL_BLOCK) {
        emit_failed(t, t->held.len);
    }
    ox_buf_clear(&t->held);
    t->state = OX_TOOLCALL_OUT;
    t->in_tag = false;
}
