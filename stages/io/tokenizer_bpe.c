#include "stages/io/tokenizer_bpe.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <string.h>

#define WORDS     (1 << 14) /* that are remembered; a power of two */
#define WORD_MOST 48        /* bytes and tokens of a word that is remembered */

struct pair { /* left 0, right 0, rank -1: a free place */
    int32_t left, right, merged, rank;
};
struct word {
    uint8_t n, tokens;
    char text[WORD_MOST];
    int32_t id[WORD_MOST];
};
struct symbol { /* id -1: merged into an earlier one */
    int32_t id;
    int64_t prev, next; /* -1: none */
};
struct candidate {
    int32_t rank;
    int64_t at; /* index of the left symbol */
};
struct bpe {
    int32_t first[256], last[256];
    struct pair *pair; /* (size) open addressing, size a power of two and at least twice the pairs */
    size_t size, pairs;
    int32_t ranks;
    struct word *word; /* (WORDS), by hash: a later word takes the place */
    /* of the word at hand */
    struct symbol *symbol;
    struct candidate *heap; /* smallest rank first, then leftmost */
    int64_t *fresh;         /* symbols made by the merge at hand */
    size_t symbol_cap, heap_n, heap_cap, fresh_cap;
};

/* ---- the table of merges ---- */
static struct pair *find(const struct bpe *b, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = (key * 0x9e3779b97f4a7c15u) >> 20 & (b->size - 1);
    while (b->pair[i].rank >= 0 && (b->pair[i].left != left || b->pair[i].right != right))
        i = (i + 1) & (b->size - 1);
    return &b->pair[i];
}
static void resize(struct bpe *b, size_t size)
{
    struct pair *old = b->pair;
    size_t old_size = b->size;
    b->pair = xmalloc(size * sizeof *b->pair);
    b->size = size;
    for (size_t i = 0; i < size; i++)
        b->pair[i] = (struct pair){.rank = -1};
    for (size_t i = 0; i < old_size; i++)
        if (old[i].rank >= 0)
            *find(b, old[i].left, old[i].right) = old[i];
    free(old);
}
struct bpe *bpe_new(const int32_t first[256], const int32_t last[256])
{
    struct bpe *b = xcalloc(1, sizeof *b);
    memcpy(b->first, first, sizeof b->first);
    memcpy(b->last, last, sizeof b->last);
    b->word = xcalloc(WORDS, sizeof *b->word);
    resize(b, 1024);
    return b;
}
void bpe_free(struct bpe *b)
{
    if (!b)
        return;
    free(b->pair);
    free(b->word);
    free(b->symbol);
    free(b->heap);
    free(b->fresh);
    free(b);
}
void bpe_merge(struct bpe *b, int32_t left, int32_t right, int32_t merged)
{
    struct pair *p = find(b, left, right);
    b->pairs += p->rank < 0;
    *p = (struct pair){left, right, merged, b->ranks++};
    if (b->pairs * 2 > b->size)
        resize(b, b->size * 2);
}
bool bpe_same(const struct bpe *a, const struct bpe *b)
{
    if (a->pairs != b->pairs || memcmp(a->first, b->first, sizeof a->first) != 0 ||
        memcmp(a->last, b->last, sizeof a->last) != 0)
        return false;
    for (size_t i = 0; i < a->size; i++) {
        const struct pair *p = &a->pair[i], *q = p->rank < 0 ? NULL : find(b, p->left, p->right);
        if (q && (q->rank != p->rank || q->merged != p->merged))
            return false;
    }
    return true;
}

/* ---- merging ---- */
static bool before(struct candidate a, struct candidate b)
{
    return a.rank < b.rank || (a.rank == b.rank && a.at < b.at);
}
static void push(struct bpe *b, int64_t at)
{
    int64_t next = at < 0 ? -1 : b->symbol[at].next;
    if (next < 0)
        return;
    const struct pair *p = find(b, b->symbol[at].id, b->symbol[next].id);
    if (p->rank < 0)
        return;
    struct candidate c = {p->rank, at};
    b->heap = xgrow(b->heap, &b->heap_cap, b->heap_n + 1, sizeof *b->heap);
    size_t i = b->heap_n++;
    for (; i && before(c, b->heap[(i - 1) / 2]); i = (i - 1) / 2)
        b->heap[i] = b->heap[(i - 1) / 2];
    b->heap[i] = c;
}
static struct candidate pop(struct bpe *b)
{
    struct candidate top = b->heap[0], c = b->heap[--b->heap_n];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < b->heap_n; i = k) {
        k += k + 1 < b->heap_n && before(b->heap[k + 1], b->heap[k]);
        if (!before(b->heap[k], c))
            break;
        b->heap[i] = b->heap[k];
    }
    b->heap[i] = c;
    return top;
}
/* Merge the pair of the candidate unless one of its symbols is no longer what it was. */
static bool merge(struct bpe *b, struct candidate c)
{
    struct symbol *left = &b->symbol[c.at];
    if (left->id < 0 || left->next < 0)
        return false;
    struct symbol *right = &b->symbol[left->next];
    const struct pair *p = find(b, left->id, right->id);
    if (p->rank != c.rank)
        return false;
    left->id = p->merged;
    left->next = right->next;
    right->id = -1;
    if (left->next >= 0)
        b->symbol[left->next].prev = c.at;
    return true;
}
static void merge_all(struct bpe *b)
{
    while (b->heap_n) {
        int32_t rank = b->heap[0].rank;
        size_t made = 0;
        while (b->heap_n && b->heap[0].rank == rank) { /* from left to right */
            struct candidate c = pop(b);
            if (!merge(b, c))
                continue;
            b->fresh = xgrow(b->fresh, &b->fresh_cap, made + 1, sizeof *b->fresh);
            b->fresh[made++] = c.at;
        }
        for (size_t i = 0; i < made; i++) { /* new pairs wait until this one is merged everywhere */
            push(b, b->symbol[b->fresh[i]].prev);
            push(b, b->fresh[i]);
        }
    }
}
static void split(struct bpe *b, const char *word, size_t n, struct ids *out)
{
    const unsigned char *byte = (const unsigned char *)word;
    b->symbol = xgrow(b->symbol, &b->symbol_cap, n, sizeof *b->symbol);
    for (size_t i = 0; i < n; i++)
        b->symbol[i] = (struct symbol){i + 1 < n ? b->first[byte[i]] : b->last[byte[i]], (int64_t)i - 1,
                                       i + 1 < n ? (int64_t)i + 1 : -1};
    b->heap_n = 0;
    for (size_t i = 0; i < n; i++)
        push(b, (int64_t)i);
    merge_all(b);
    for (int64_t i = 0; i >= 0; i = b->symbol[i].next)
        ids_add(out, b->symbol[i].id);
}
void bpe_word(struct bpe *b, const char *word, size_t n, struct ids *out)
{
    if (n > WORD_MOST) {
        split(b, word, n, out);
        return;
    }
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)word[i]) * 1099511628211u;
    struct word *w = &b->word[(hash >> 32 ^ hash) & (WORDS - 1)];
    if (w->n != n || memcmp(w->text, word, n) != 0) {
        size_t from = out->n;
        split(b, word, n, out);
        w->n = (uint8_t)n;
        w->tokens = (uint8_t)(out->n - from); /* at most n */
        memcpy(w->text, word, n);
        memcpy(w->id, out->id + from, w->tokens * sizeof *w->id);
        return;
    }
    for (size_t i = 0; i < w->tokens; i++)
        ids_add(out, w->id[i]);
}
