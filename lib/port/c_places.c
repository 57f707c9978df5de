/* SPDX-License-Identifier: MIT
 *
 * Places in the arena of generated C: as in engine/arrange.c a tensor lives from the
 * unit that writes it to the last that reads it, but here memory is scarce. So the
 * largest are placed first, and a sum may take the place of its residual, or codes
 * that of those they are requantized from, where nobody reads those later.
 */
#include "port/c_source.h"

#include <stdlib.h>
#include <string.h>

struct block {
    uint64_t size, at;
    int first, last;  /* units */
    int order;        /* in which blocks came, for a stable sort */
};

struct arranger {
    const struct omq_plan *plan;
    struct block *blocks;         /* [n_tensors + n_units]: the tensors', then scratch */
    int *block_of;                /* [n_tensors] */
    const struct block **placed;  /* by place */
    int n_placed;
    uint64_t end;
};

static uint64_t size_of(const struct omq_tensor *t)
{
    return t->is_logits ? 0 : (uint64_t)t->h * (uint64_t)t->w * (uint64_t)t->c;
}

static int last_use(const struct omq_plan *p, int tensor)
{
    int last = 0;

    for (int i = 0; i < p->n_units; i++)
        if (p->units[i].in == tensor || p->units[i].res == tensor || p->units[i].out == tensor)
            last = i;
    return last;
}

/* The tensor whose place the output of unit i can take, or -1: each of its codes is
 * read before that place is written. (CMSIS-NN adds after a convolution is done.) */
static int replaced(const struct omq_plan *p, int i, bool cmsis)
{
    const struct omq_unit *u = &p->units[i];
    const int t = u->kind == OMQ_UNIT_REQUANT ? u->in : u->res;

    if (t < 0 || (u->kind != OMQ_UNIT_REQUANT && (cmsis || t == u->in)) || last_use(p, t) != i ||
        size_of(&p->tensors[t]) != size_of(&p->tensors[u->out]))
        return -1;
    return t;
}

/* Bytes that a convolution's kernel wants: its weights, or its window's bits. For
 * CMSIS-NN, logits and what they are made of in 16 bits; its own buffer is apart. */
static uint64_t scratch_of(const struct omq_export_job *job, int i)
{
    const struct omq_plan *p = &job->choices[0]->net->plan;
    const struct omq_unit *u = &p->units[i];
    uint64_t most = 0;

    if (job->opt->cmsis)
        return p->tensors[u->out].is_logits ? 2 * (omq_unit_filter(u) + (uint64_t)u->oc) : 0;
    for (int c = 0; u->kind == OMQ_UNIT_CONV && c < job->n; c++) {
        const uint64_t filter = omq_unit_filter(u);
        const uint64_t size = omq_c_by_bits(job->choices[c], i) ? (filter + 31) / 32 * 4 : filter;

        most = size > most ? size : most;
    }
    return most;
}

static void make_blocks(struct arranger *a, const struct omq_export_job *job)
{
    const struct omq_plan *p = a->plan;

    a->blocks[0] = (struct block){.size = size_of(&p->tensors[0]), .last = last_use(p, 0)};
    for (int i = 0; i < p->n_units; i++) {
        const int out = p->units[i].out, old = replaced(p, i, job->opt->cmsis);

        a->block_of[out] = old >= 0 ? a->block_of[old] : out;
        if (old >= 0)
            a->blocks[a->block_of[out]].last = last_use(p, out);
        else
            a->blocks[out] = (struct block){.size = size_of(&p->tensors[out]), .first = i,
                                            .last = last_use(p, out)};
        a->blocks[p->n_tensors + i] = (struct block){.size = scratch_of(job, i), .first = i,
                                                     .last = i};
    }
    for (int i = 0; i < p->n_tensors + p->n_units; i++) {
        a->blocks[i].size = (a->blocks[i].size + 3) / 4 * 4;
        a->blocks[i].order = i;
    }
}

static int by_size(const void *a, const void *b)
{
    const struct block *x = *(const struct block *const *)a, *y = *(const struct block *const *)b;

    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The first gap between those that live at the same time. */
static void place(struct arranger *a, struct block *b)
{
    int at = 0;

    b->at = 0;
    for (int i = 0; i < a->n_placed; i++) {
        const struct block *o = a->placed[i];

        if (o->last < b->first || b->last < o->first)
            continue;
        if (o->at >= b->at + b->size)
            break;
        b->at = o->at + o->size > b->at ? o->at + o->size : b->at;
    }
    while (at < a->n_placed && a->placed[at]->at <= b->at)
        at++;
    memmove(a->placed + at + 1, a->placed + at, sizeof(*a->placed) * (size_t)(a->n_placed - at));
    a->placed[at] = b;
    a->n_placed++;
    a->end = b->at + b->size > a->end ? b->at + b->size : a->end;
}

static int arrange(struct arranger *a, struct block **sorted, struct omq_c_places *p,
                   struct omq_err *err)
{
    const int n = a->plan->n_tensors + a->plan->n_units;

    for (int i = 0; i < n; i++)
        sorted[i] = &a->blocks[i];
    qsort(sorted, (size_t)n, sizeof(struct block *), by_size);
    for (int i = 0; i < n && sorted[i]->size > 0; i++)
        place(a, sorted[i]);
    if (a->end > INT32_MAX)
        return omq_fail(err, OMQ_EUNSUP, "the activations need %llu MiB: format 'c' is for less",
                        (unsigned long long)(a->end >> 20));
    for (int t = 0; t < a->plan->n_tensors; t++)
        p->tensors[t] = (uint32_t)a->blocks[a->block_of[t]].at;
    for (int i = 0; i < a->plan->n_units; i++)
        p->scratch[i] = (uint32_t)a->blocks[a->plan->n_tensors + i].at;
    p->n_bytes = (uint32_t)a->end;
    return OMQ_OK;
}

int omq_c_places_init(struct omq_c_places *p, const struct omq_export_job *job,
                      struct omq_err *err)
{
    struct arranger a = {.plan = &job->choices[0]->net->plan};
    const size_t tensors = (size_t)a.plan->n_tensors, units = (size_t)a.plan->n_units;
    const size_t n = tensors + units;
    struct block **sorted = calloc(n, sizeof(struct block *));
    int rc;

    *p = (struct omq_c_places){.tensors = calloc(tensors, sizeof(*p->tensors)),
                               .scratch = calloc(units, sizeof(*p->scratch))};
    a.blocks = calloc(n, sizeof(*a.blocks));
    a.block_of = calloc(tensors, sizeof(*a.block_of));
    a.placed = calloc(n, sizeof(*a.placed));
    if (sorted && p->tensors && p->scratch && a.blocks && a.block_of && a.placed) {
        make_blocks(&a, job);
        rc = arrange(&a, sorted, p, err);
    } else {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    }
    free(sorted);
    free(a.blocks);
    free(a.block_of);
    free(a.placed);
    if (rc < 0)
        omq_c_places_release(p);
    return rc;
}

void omq_c_places_release(struct omq_c_places *p)
{
    free(p->tensors);
    free(p->scratch);
    *p = (struct omq_c_places){0};
}
