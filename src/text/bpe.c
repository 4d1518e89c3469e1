/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of merges is a hash of pairs. Short pieces are merged by looking for the lowest rank among all pairs, long
 * ones with a heap of candidates, so that a megabyte of one letter stays n log n.
 */
#include "text/bpe.h"

#include "base/mem.h"

#define NO_RANK UINT32_MAX
#define NO_LINK UINT32_MAX

/* A symbol of a long piece. rank is that of the pair which begins here, NO_RANK if there is none or the symbol has been
 * merged into its left neighbour; a heap entry of another rank is out of date. */
struct ox_bpe_link {
    int32_t id;
    uint32_t previous;
    uint32_t next;
    uint32_t rank;
};

enum ox_status ox_bpe_init(struct ox_bpe *bpe, size_t n_merges, struct ox_error *err)
{
    memset(bpe, 0, sizeof *bpe);
    OX_CHECK(n_merges <= OX_BPE_MERGES_MAX);
    size_t n_rows = 16;
    while (n_rows < 2 * n_merges) {
        n_rows *= 2;
    }
    bpe->rows = ox_calloc(n_rows, sizeof *bpe->rows);
    bpe->merged = ox_calloc(n_merges, sizeof *bpe->merged);
    if (bpe->rows == NULL || bpe->merged == NULL) {
        ox_bpe_fini(bpe);
        return ox_error_nomem(err, n_rows * sizeof *bpe->rows);
    }
    for (size_t i = 0; i < n_rows; i++) {
        bpe->rows[i].merged = -1;
    }
    bpe->mask = n_rows - 1;
    bpe->merges_cap = n_merges;
    return OX_OK;
}

void ox_bpe_fini(struct ox_bpe *bpe)
{
    ox_free(bpe->rows);
    ox_free(bpe->merged);
    memset(bpe, 0, sizeof *bpe);
}

/* The row of a pair, or the free row where it belongs. */
static size_t row_of(const struct ox_bpe *bpe, int32_t left, int32_t right)
{
    uint64_t x = ((uint64_t)(uint32_t)left << 32) | (uint32_t)right;
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    size_t at = (size_t)(x ^ (x >> 31)) & bpe->mask;
    while (bpe->rows[at].merged >= 0 && (bpe->rows[at].left != left || bpe->rows[at].right != right)) {
        at = (at + 1) & bpe->mask;
    }
    return at;
}

bool ox_bpe_add(struct ox_bpe *bpe, int32_t left, int32_t right, int32_t merged)
{
    OX_CHECK(bpe->n_merges < bpe->merges_cap);
    const uint32_t rank = (uint32_t)bpe->n_merges;
    struct ox_bpe_row *row = &bpe->rows[row_of(bpe, left, right)];
    const bool again = row->merged >= 0;
    row->left = left;
    row->right = right;
    row->merged = merged;
    row->rank = rank;
    bpe->merged[bpe->n_merges++] = merged;
    return again;
}

uint32_t ox_bpe_rank(const struct ox_bpe *bpe, int32_t left, int32_t right)
{
    const struct ox_bpe_row *row = &bpe->rows[row_of(bpe, left, right)];
    return row->merged >= 0 ? row->rank : NO_RANK;
}

void ox_bpe_work_fini(struct ox_bpe_work *work)
{
    ox_free(work->links);
    ox_free(work->heap);
    memset(work, 0, sizeof *work);
}

static int encode_short(const struct ox_bpe *bpe, struct ox_bpe_work *work, struct ox_str piece, struct ox_ids *out)
{
    int32_t ids[OX_BPE_SHORT];
    uint32_t ranks[OX_BPE_SHORT]; /* of the pair that begins at i */
    size_t n = piece.len;
    for (size_t i = 0; i < n; i++) {
        ids[i] = bpe->symbols[(unsigned char)piece.ptr[i]];
    }
    for (size_t i = 0; i + 1 < n; i++) {
        ranks[i] = ox_bpe_rank(bpe, ids[i], ids[i + 1]);
    }
    work->n_steps += n;
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++) {
            best = ranks[i] < ranks[best] ? i : best;
        }
        if (ranks[best] == NO_RANK) {
            break;
        }
        ids[best] = bpe->merged[ranks[best]];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
        }
        for (size_t i = best + 1; i + 1 < n; i++) {
            ranks[i] = ranks[i + 1];
        }
        if (best + 1 < n) {
            ranks[best] = ox_bpe_rank(bpe, ids[best], ids[best + 1]);
        }
        if (best > 0) {
            ranks[best - 1] = ox_bpe_rank(bpe, ids[best - 1], ids[best]);
        }
        work->n_steps += 2;
    }
    for (size_t i = 0; i < n; i++) {
        if (ox_ids_add(out, ids[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Heap entries are rank in the high half and position in the low: the smallest is the next merge. */
static void sift_down(struct ox_bpe_work *work, size_t at)
{
    uint64_t *heap = work->heap;
    const uint64_t entry = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= work->heap_len) {
            break;
        }
        if (child + 1 < work->heap_len && heap[child + 1] < heap[child]) {
            child++;
        }
        work->n_steps++;
        if (heap[child] >= entry) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = entry;
}

static uint64_t heap_pop(struct ox_bpe_work *work)
{
    const uint64_t top = work->heap[0];
    work->heap[0] = work->heap[--work->heap_len];
    if (work->heap_len > 0) {
        sift_down(work, 0);
    }
    return top;
}

/* Append without order; heap_push and the first ordering build on it. */
static int heap_append(struct ox_bpe_work *work, uint32_t rank, uint32_t position)
{
    if (work->heap_len == work->heap_cap) {
        void *p = work->heap;
        if (ox_grow(&p, &work->heap_cap, work->heap_len + 1, sizeof *work->heap) != 0) {
            return -1;
        }
        work->heap = p;
    }
    work->heap[work->heap_len++] = ((uint64_t)rank << 32) | position;
    return 0;
}

static int heap_push(struct ox_bpe_work *work, uint32_t rank, uint32_t position)
{
    if (heap_append(work, rank, position) != 0) {
        return -1;
    }
    uint64_t *heap = work->heap;
    size_t at = work->heap_len - 1;
    const uint64_t entry = heap[at];
    while (at > 0 && heap[(at - 1) / 2] > entry) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
        work->n_steps++;
    }
    heap[at] = entry;
    return 0;
}

/* Look the pair that begins at `at` up again; it goes on the heap if it can be merged. */
static int renew(const struct ox_bpe *bpe, struct ox_bpe_work *work, uint32_t at)
{
    struct ox_bpe_link *link = &work->links[at];
    link->rank = link->next == NO_LINK ? NO_RANK : ox_bpe_rank(bpe, link->id, work->links[link->next].id);
    work->n_steps++;
    return link->rank == NO_RANK ? 0 : heap_push(work, link->rank, at);
}

static int encode_long(const struct ox_bpe *bpe, struct ox_bpe_work *work, struct ox_str piece, struct ox_ids *out)
{
    const uint32_t n = (uint32_t)piece.len;
    void *p = work->links;
    if (ox_grow(&p, &work->links_cap, n, sizeof *work->links) != 0) {
        return -1;
    }
    struct ox_bpe_link *links = work->links = p;
    work->heap_len = 0;
    for (uint32_t i = 0; i < n; i++) {
        links[i].id = bpe->symbols[(unsigned char)piece.ptr[i]];
        links[i].previous = i > 0 ? i - 1 : NO_LINK;
        links[i].next = i + 1 < n ? i + 1 : NO_LINK;
        links[i].rank = NO_RANK;
    }
    work->n_steps += n;
    for (uint32_t i = 0; i + 1 < n; i++) {
        links[i].rank = ox_bpe_rank(bpe, links[i].id, links[i + 1].id);
        if (links[i].rank != NO_RANK && heap_append(work, links[i].rank, i) != 0) {
            return -1;
        }
    }
    for (size_t i = work->heap_len / 2; i > 0; i--) {
        sift_down(work, i - 1);
    }
    while (work->heap_len > 0) {
        const uint64_t entry = heap_pop(work);
        const uint32_t at = (uint32_t)entry;
        struct ox_bpe_link *link = &links[at];
        if (link->rank != (uint32_t)(entry >> 32)) {
            continue;
        }
        link->id = bpe->merged[link->rank];
        links[link->next].rank = NO_RANK;
        link->next = links[link->next].next;
        if (link->next != NO_LINK) {
            links[link->next].previous = at;
        }
        if (renew(bpe, work, at) != 0 || (link->previous != NO_LINK && renew(bpe, work, link->previous) != 0)) {
            return -1;
        }
    }
    for (uint32_t i = 0; i != NO_LINK; i = links[i].next) {
        if (ox_ids_add(out, links[i].id) != 0) {
            return -1;
        }
    }
    return 0;
}

int ox_bpe_encode(const struct ox_bpe *bpe, struct ox_bpe_work *work, struct ox_str piece, struct ox_ids *out)
{
    OX_CHECK(piece.len <= INT32_MAX);
    if (piece.len == 0) {
        return 0;
    }
    return piece.len <= OX_BPE_SHORT ? encode_short(bpe, work, piece, out) : encode_long(bpe, work, piece, out);
}
