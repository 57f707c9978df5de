/* SPDX-License-Identifier: MIT
 *
 * Places: each tensor gets a border as wide as the padding of the convolutions
 * that read it, and memory from the unit that writes it to the last one that
 * reads it. A convolution then reads its windows from where they lie.
 */
#include "engine/engine_internal.h"

#include <stdlib.h>

#include "base/place.h"

static int border_of(const struct omq_engine *e, int tensor)
{
    int border = 0;

    for (int i = 0; i < e->n_units; i++) {
        const struct omq_engine_unit *u = &e->units[i];

        if (u->in == tensor && u->kind == OMQ_UNIT_CONV && u->win.ph > border)
            border = u->win.ph;
    }
    return border;
}

/* The last unit that reads a tensor, or its writer if none does. */
static int last_use(const struct omq_engine *e, int tensor)
{
    int last = -1;

    for (int i = 0; i < e->n_units; i++) {
        const struct omq_engine_unit *u = &e->units[i];

        if (u->in == tensor || u->res == tensor || u->out == tensor)
            last = i;
    }
    return last;
}

/* Bytes of one image, whole cache lines; SIZE_MAX if that cannot be counted. */
static size_t size_of(struct omq_engine_tensor *t)
{
    size_t w = (size_t)t->w + 2 * (size_t)t->border, h = (size_t)t->h + 2 * (size_t)t->border;
    size_t row, image;

    if (!omq_mul_size(w, (size_t)t->c, &row) || !omq_mul_size(row, h, &image) ||
        image > PTRDIFF_MAX - OMQ_ALIGN)
        return SIZE_MAX;
    t->row = (ptrdiff_t)row;
    t->image = (ptrdiff_t)image;
    return omq_align_up(image);
}

/* A tensor that is there from unit `now` on. */
static void place(struct omq_engine *e, int tensor, int now, struct omq_places *p)
{
    struct omq_engine_tensor *t = &e->tensors[tensor];

    t->border = border_of(e, tensor);
    t->offset = omq_places_take(p, size_of(t), now, last_use(e, tensor));
}

int omq_engine_arrange(struct omq_engine *e, struct omq_err *err)
{
    struct omq_places p = {.live = calloc((size_t)e->n_tensors, sizeof(*p.live))};

    if (!p.live)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the integer engine");
    place(e, 0, 0, &p);
    for (int i = 0; i < e->n_units; i++)
        if (!e->tensors[e->units[i].out].is_logits)
            place(e, e->units[i].out, i, &p);
    free(p.live);
    e->image_bytes = p.size;
    if (e->image_bytes == SIZE_MAX)
        return omq_fail(err, OMQ_EUNSUP, "the activations of one image do not fit in memory");
    return OMQ_OK;
}

/* ---- windows ---- */

static bool is_whole_image(const struct omq_window *w, const struct omq_engine_tensor *in)
{
    return w->kh == w->h && w->kw == w->w && in->border == 0;
}

/* Whether what an output sees of one pixel does not lie beside what it sees of the next. */
static bool is_apart(const struct omq_engine_unit *u) { return u->groups > 1 || u->is_depthwise; }

void omq_engine_runs(const struct omq_engine *e, struct omq_engine_unit *u)
{
    const bool whole = !is_apart(u) && is_whole_image(&u->win, &e->tensors[u->in]);

    omq_conv_set_runs(&u->shape, &u->win, is_apart(u), whole);
}

void omq_engine_place_runs(const struct omq_engine *e, struct omq_engine_unit *u)
{
    omq_conv_place_runs(&u->shape, &u->win, is_apart(u), e->tensors[u->in].row, u->run_at);
}
