/* SPDX-License-Identifier: MIT
 *
 * Running a plan: all its units in order, on one thread or shared by several.
 */
#include "engine/engine_internal.h"

#include <stdatomic.h>
#include <sched.h>

/* What a core's own cache should hold of activations; of the machines that matter
 * most have 512 KiB to 2 MiB. */
enum { CACHE_BYTES = 1 << 20, MOST_IMAGES = 64 };

int omq_engine_batch(const struct omq_engine *e)
{
    size_t n = CACHE_BYTES / e->image_bytes;

    return n < 1 ? 1 : n > MOST_IMAGES ? MOST_IMAGES : (int)n;
}

/* A meeting costs some microseconds, in which a core does a million products and
 * more. Network: ResNet-18 at 224 pixels 47 million a unit, ResNet-20 one. */
bool omq_engine_is_shareable(const struct omq_engine *e)
{
    const uint64_t least = 8000000;
    uint64_t products = 0;

    for (int i = 0; i < e->n_units; i++) {
        const struct omq_engine_unit *u = &e->units[i];

        if (u->kind == OMQ_UNIT_CONV)
            products += (uint64_t)u->win.oh * (uint64_t)u->win.ow * (uint64_t)u->oc *
                        (uint64_t)u->shape.n_runs * (uint64_t)u->shape.run;
    }
    return products >= least * (uint64_t)e->n_units;
}

static size_t thread_bytes(const struct omq_engine *e)
{
    return e->kernel_bytes + e->row_bytes;
}

size_t omq_engine_scratch_size(const struct omq_engine *e, int n, int threads)
{
    size_t tensors, own, all;

    if (n < 1 || !omq_mul_size(e->image_bytes, (size_t)n, &tensors) ||
        !omq_mul_size(thread_bytes(e), (size_t)threads, &own) ||
        !omq_add_size(tensors, own, &all) || !omq_add_size(all, OMQ_ALIGN, &all))
        return SIZE_MAX;
    return all;
}

/* The part's own scratch is behind the tensors, of which the last may be read a
 * few bytes beyond its end. */
static struct omq_engine_io io_of(const struct omq_engine *e, int n, float *logits, void *scratch,
                                  int part, int parts)
{
    char *own = (char *)scratch + e->image_bytes * (size_t)n + OMQ_ALIGN +
                (size_t)part * thread_bytes(e);

    return (struct omq_engine_io){.e = e, .n = n, .part = part, .parts = parts,
                                  .tensors = scratch, .kernel = own,
                                  .row = own + e->kernel_bytes, .logits = logits};
}

static void run(const struct omq_engine_io *io, const uint8_t *codes)
{
    omq_engine_load(io, codes);
    for (int i = 0; i < io->e->n_units; i++)
        omq_engine_unit_run(io, i);
}

void omq_engine_run(const struct omq_engine *e, const uint8_t *codes, int n, float *logits,
                    void *scratch)
{
    struct omq_engine_io io = io_of(e, n, logits, scratch, 0, 1);

    run(&io, codes);
}

void omq_engine_run_watched(const struct omq_engine *e, const uint8_t *codes, int n,
                            float *logits, void *scratch, const struct omq_engine_watch *watch)
{
    struct omq_engine_io io = io_of(e, n, logits, scratch, 0, 1);

    io.watch = watch;
    run(&io, codes);
}

/* ---- shared ---- */

struct team {
    const struct omq_engine *e;
    const uint8_t *codes;
    int n, size;
    float *logits;
    void *scratch;
    atomic_int arrived; /* parts that have come to the end of a step, of all steps */
};

/* Waits for all parts. Steps are short, so it spins for a while before it lets
 * others run. */
static void meet(struct team *t, int step)
{
    enum { SPINS = 4000 };
    const int all = (step + 1) * t->size;

    atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel);
    for (int i = 0; atomic_load_explicit(&t->arrived, memory_order_acquire) < all; i++) {
        if (i > SPINS)
            sched_yield();
        else
            omq_pause();
    }
}

static void run_part(void *arg, int thread, int begin, int end)
{
    struct team *t = arg;
    struct omq_engine_io io = io_of(t->e, t->n, t->logits, t->scratch, thread, t->size);

    (void)begin, (void)end;
    omq_engine_load(&io, t->codes);
    meet(t, 0);
    for (int i = 0; i < t->e->n_units; i++) {
        omq_engine_unit_run(&io, i);
        meet(t, i + 1);
    }
}

void omq_engine_run_shared(const struct omq_engine *e, const uint8_t *codes, int n, float *logits,
                           void *scratch, struct omq_pool *pool)
{
    struct team t = {.e = e, .codes = codes, .n = n, .size = omq_pool_threads(pool),
                     .logits = logits, .scratch = scratch};

    omq_pool_run(pool, run_part, &t, t.size);
}
