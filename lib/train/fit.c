/* SPDX-License-Identifier: MIT
 *
 * The error that other weights make in a layer's output, without running it. With
 * S = E[x x^T], the second moments of what an output reads, weights that are off by
 * d make an error of E[(d x)^2] = d S d^T in its sums. Where a batch norm follows
 * whose scale and shift are set afterwards, only what no line y = a s + b mends
 * counts: with C the covariances of x, exact weights w and others q,
 *
 *     w C w^T - (q C w^T)^2 / (q C q^T).
 */
#include "train/train_internal.h"

/* More inputs than this have a diagonal of moments only; sampled rows, about. */
enum { MOST_INPUTS = 1152, ROWS = 8192 };

static size_t moments(const struct omq_fit *f)
{
    size_t k = (size_t)f->k;

    return (size_t)f->groups * k * (f->full ? k : 1);
}

void omq_fit_close(struct omq_fit *f)
{
    omq_arena_release(&f->arena);
    *f = (struct omq_fit){0};
}

/* ---- moments ---- */

struct sample {
    struct omq_fit *f;
    const struct omq_exec *x;
    const struct omq_unit *u;
    int n, rows;    /* images, and output rows of each that are taken */
    int zero_point; /* of the input's codes */
    /* a slice a thread: */
    omq_real *s, *read; /* moments; what a group's rows read */
    double *sum;    /* [groups][k] */
};

/* The window of one group, cut to some output rows: other ones in each image. */
static struct omq_window cut(const struct sample *s, int group, int image)
{
    struct omq_window w = s->u->win;
    int at = (int)(((uint32_t)image * 2654435761u >> 16) % (uint32_t)(w.oh - s->rows + 1));

    w.c_begin = group * w.c_count;
    w.ph -= at * w.sh;
    w.oh = s->rows;
    return w;
}

static void add(const struct sample *s, int thread, int group, int n, const omq_real *read)
{
    const struct omq_fit *f = s->f;
    size_t k = (size_t)f->k, at = (size_t)group * k;
    omq_real *to = s->s + (size_t)thread * moments(f) + at * (f->full ? k : 1);
    double *sum = s->sum + (size_t)thread * (size_t)f->groups * k + at;

    if (f->full)
        omq_kern()->gemm(true, false, f->k, f->k, n, read, f->k, read, f->k, 1, to, f->k);
    for (int r = 0; r < n; r++, read += k)
        for (size_t i = 0; i < k; i++) {
            sum[i] += (double)read[i];
            if (!f->full)
                to[i] += read[i] * read[i];
        }
}

static void sample_images(void *arg, int thread, int begin, int end)
{
    const struct sample *s = arg;
    const struct omq_window *w = &s->u->win;
    const uint8_t *codes = omq_exec_codes(s->x, s->u->in);
    const omq_real *reals = omq_exec_reals(s->x, s->u->in);
    size_t image = (size_t)w->h * (size_t)w->w * (size_t)w->c;
    int pixels = s->rows * w->ow;
    omq_real *read = s->read + (size_t)thread * (size_t)pixels * (size_t)s->f->k;

    for (int i = begin; i < end; i++)
        for (int g = 0; g < s->u->groups; g++) {
            struct omq_window part = cut(s, g, i);

            if (codes)
                omq_kern()->im2row_u8(&part, codes + (size_t)i * image, s->zero_point, read);
            else
                omq_kern()->im2row(&part, reals + (size_t)i * image, read);
            add(s, thread, g, pixels, read);
        }
}

/* The threads' sums, in their order, to means. */
static void join(const struct sample *s, int threads)
{
    struct omq_fit *f = s->f;
    size_t n = moments(f), n_mean = (size_t)f->groups * (size_t)f->k;
    double count = (double)s->n * s->rows * s->u->win.ow;

    for (size_t i = 0; i < n; i++) {
        double sum = 0;

        for (int t = 0; t < threads; t++)
            sum += (double)s->s[(size_t)t * n + i];
        f->s[i] = (omq_real)(sum / count);
    }
    for (size_t i = 0; i < n_mean; i++) {
        f->mean[i] = 0;
        for (int t = 0; t < threads; t++)
            f->mean[i] += s->sum[(size_t)t * n_mean + i] / count;
    }
}

static void take(struct omq_fit *f, struct sample *s, size_t threads)
{
    size_t k = (size_t)f->k, inputs = (size_t)f->groups * k;

    f->s = omq_arena_take(&f->arena, moments(f), sizeof(*f->s));
    f->mean = omq_arena_take(&f->arena, inputs, sizeof(*f->mean));
    s->s = omq_arena_take(&f->arena, threads * moments(f), sizeof(*s->s));
    s->sum = omq_arena_take(&f->arena, threads * inputs, sizeof(*s->sum));
    s->read = omq_arena_take(&f->arena, threads * (size_t)s->rows * (size_t)s->u->win.ow * k,
                             sizeof(*s->read));
}

/* Counts what is to be taken. */
static void measure(struct omq_fit *f, struct sample *s, const struct omq_unit *u, int n,
                    int threads)
{
    const double k = (double)u->win.kh * u->win.kw * u->win.c_count;

    *f = (struct omq_fit){.k = (int)k, .groups = u->groups,
                          .full = u->groups * k * k <= (double)MOST_INPUTS * MOST_INPUTS};
    *s = (struct sample){.f = f, .u = u, .n = n, .rows = ROWS / n / u->win.ow + 1};
    if (s->rows > u->win.oh)
        s->rows = u->win.oh;
    take(f, s, (size_t)threads);
}

size_t omq_fit_bytes(const struct omq_unit *u, int n, int threads)
{
    struct omq_fit f;
    struct sample s;

    measure(&f, &s, u, n, threads);
    return f.arena.used;
}

int omq_fit_open(struct omq_fit *f, const struct omq_exec *x, const struct omq_unit *u, int n,
                 int zero_point, struct omq_pool *pool, struct omq_err *err)
{
    struct sample s;
    int threads = omq_pool_threads(pool), rc;

    measure(f, &s, u, n, threads);
    s.x = x;
    s.zero_point = zero_point;
    if ((rc = omq_arena_commit(&f->arena, "the moments of a layer's input", err)) < 0)
        return rc;
    take(f, &s, (size_t)threads);
    omq_pool_run(pool, sample_images, &s, n);
    join(&s, threads);
    return OMQ_OK;
}

/* ---- errors ---- */

/* y = a S of one group, or a C; rows of k. */
static void times_moments(const struct omq_fit *f, int group, bool centred, int rows,
                          const omq_real *a, omq_real *y)
{
    size_t k = (size_t)f->k;
    const omq_real *s = f->s + (size_t)group * k * (f->full ? k : 1);
    const double *mean = f->mean + (size_t)group * k;

    if (f->full)
        omq_kern()->gemm(false, false, rows, f->k, f->k, a, f->k, s, f->k, 0, y, f->k);
    for (int r = 0; r < rows; r++, a += k, y += k) {
        double along = 0;

        for (size_t i = 0; !f->full && i < k; i++)
            y[i] = a[i] * (omq_real)((double)s[i] - (centred ? mean[i] * mean[i] : 0));
        if (!f->full || !centred)
            continue;
        for (size_t i = 0; i < k; i++)
            along += (double)a[i] * mean[i];
        for (size_t i = 0; i < k; i++)
            y[i] -= (omq_real)(along * mean[i]);
    }
}

static double dot(int n, const omq_real *a, const omq_real *b)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

void omq_fit_errors(const struct omq_fit *f, const struct omq_layer *l, bool normed,
                    const omq_real *exact, const omq_real *q, omq_real *scratch, double *errors)
{
    size_t n = omq_layer_size(l), part = n / (size_t)f->groups;
    omq_real *w = scratch, *a = w + n, *w_s = a + n, *a_s = w_s + n;
    int out = l->out / f->groups, k = f->k;

    omq_layer_order(l, l->out, exact, w);
    omq_layer_order(l, l->out, q, a);
    for (size_t i = 0; !normed && i < n; i++)
        a[i] -= w[i];
    for (int g = 0; g < f->groups; g++) {
        size_t at = (size_t)g * part;

        times_moments(f, g, normed, out, a + at, a_s + at);
        if (normed)
            times_moments(f, g, normed, out, w + at, w_s + at);
    }
    for (int o = 0; o < l->out; o++, a += k, w += k, a_s += k, w_s += k) {
        double aa = dot(k, a, a_s), aw, ww;

        errors[o] = fmax(aa, 0);
        if (!normed)
            continue;
        aw = dot(k, a, w_s);
        ww = dot(k, w, w_s);
        errors[o] = fmax(aa > 0 && aw > 0 ? ww - aw * aw / aa : ww, 0);
    }
}
