/* SPDX-License-Identifier: MIT
 *
 * Steps of least error: of a layer's weights by its output, of activations by
 * themselves.
 */
#include "train/train_internal.h"

/* Candidates lie around the step of least squares, an octave to each side. */
enum { PER_OCTAVE = 12, LEAST_SQUARES = PER_OCTAVE, CANDIDATES = 2 * PER_OCTAVE + 1 };

static omq_real factor_of(int candidate)
{
    return (omq_real)exp2((double)(candidate - LEAST_SQUARES) / PER_OCTAVE);
}

/* ---- weights ---- */

struct search {
    const struct omq_net *net;
    const struct omq_fit *fit;
    int precision, layer;
    bool normed;
    struct omq_arena arena;
    omq_real *w, *base; /* the view's weights; steps of least squares */
    double *errors;     /* [CANDIDATES][out] */
    /* a slice a thread: */
    omq_real *scratch, *method, *q, *unit, *step;
    int8_t *k;
};

static void take(struct search *s, size_t threads)
{
    const struct omq_layer *l = &s->net->plan.layers[s->layer];
    size_t n = omq_layer_size(l), out = (size_t)l->out;

    s->w = omq_arena_take(&s->arena, n, sizeof(*s->w));
    s->base = omq_arena_take(&s->arena, out, sizeof(*s->base));
    s->errors = omq_arena_take(&s->arena, CANDIDATES * out, sizeof(*s->errors));
    s->scratch = omq_arena_take(&s->arena, threads * 4 * n, sizeof(*s->scratch));
    s->method = omq_arena_take(&s->arena, threads * n, sizeof(*s->method));
    s->q = omq_arena_take(&s->arena, threads * n, sizeof(*s->q));
    s->unit = omq_arena_take(&s->arena, threads * out, sizeof(*s->unit));
    s->step = omq_arena_take(&s->arena, threads * out, sizeof(*s->step));
    s->k = omq_arena_take(&s->arena, threads * n, 1);
}

static struct omq_weights weights_of(const struct search *s, size_t thread)
{
    const struct omq_layer *l = &s->net->plan.layers[s->layer];
    size_t n = omq_layer_size(l), out = (size_t)l->out;

    return omq_layer_weights(s->net, s->precision, s->layer, s->w, s->k + thread * n,
                             s->unit + thread * out, s->method + thread * n);
}

static void try_candidates(void *arg, int thread, int begin, int end)
{
    const struct search *s = arg;
    const struct omq_layer *l = &s->net->plan.layers[s->layer];
    struct omq_weights q = weights_of(s, (size_t)thread);
    size_t n = omq_layer_size(l), out = (size_t)l->out;
    omq_real *step = s->step + (size_t)thread * out, *value = s->q + (size_t)thread * n;

    q.step = step;
    for (int j = begin; j < end; j++) {
        for (int i = 0; i < q.n_steps; i++)
            step[i] = s->base[i] * factor_of(j);
        omq_layer_method(s->net, s->layer)->forward(&q);
        for (size_t i = 0; i < n; i++)
            value[i] = (omq_real)q.k[i] * q.unit[q.n_units == 1 ? 0 : i / q.n];
        omq_fit_errors(s->fit, l, s->normed, s->w, value, s->scratch + (size_t)thread * 4 * n,
                       s->errors + (size_t)j * out);
    }
}

/* Of the step that outputs first .. first + n - 1 share. Of equals, as at one bit,
 * least squares stays. */
static omq_real best_factor(const struct search *s, const double *weight, int first, int n)
{
    size_t out = (size_t)s->net->plan.layers[s->layer].out;
    double least = INFINITY;
    int best = LEAST_SQUARES;

    for (int i = 0; i < CANDIDATES; i++) {
        int j = (i + LEAST_SQUARES) % CANDIDATES;
        double sum = 0;

        for (int o = first; o < first + n; o++)
            sum += weight[o] * s->errors[(size_t)j * out + (size_t)o];
        if (sum < least * (1 - 1e-9)) {
            least = sum;
            best = j;
        }
    }
    return factor_of(best);
}

size_t omq_fit_weight_steps_bytes(const struct omq_net *net, int layer, int threads)
{
    struct search s = {.net = net, .layer = layer};

    take(&s, (size_t)threads);
    return s.arena.used;
}

int omq_fit_weight_steps(const struct omq_net *net, int precision, int layer,
                         const struct omq_fit *fit, const double *weight, struct omq_pool *pool,
                         struct omq_err *err)
{
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);
    struct search s = {.net = net, .fit = fit, .precision = precision, .layer = layer,
                       .normed = lp->gamma != NULL};
    size_t threads = (size_t)omq_pool_threads(pool);
    struct omq_weights q;
    int rc;

    take(&s, threads);
    if ((rc = omq_arena_commit(&s.arena, "the candidates of a layer's steps", err)) < 0)
        return rc;
    take(&s, threads);
    omq_layer_view(net, precision, layer, s.w);
    q = weights_of(&s, 0);
    omq_layer_method(net, layer)->init_step(&q, s.base);
    omq_pool_run(pool, try_candidates, &s, CANDIDATES);
    for (int i = 0; i < q.n_steps; i++)
        lp->wstep->value[i] = s.base[i] * best_factor(&s, weight, q.n_steps == 1 ? 0 : i,
                                                      q.n_steps == 1 ? q.out : 1);
    omq_arena_release(&s.arena);
    return OMQ_OK;
}

/* ---- activations ---- */

/* Training moves a step that is near; here it stays: finer, and over all values. */
omq_real omq_fit_act_step(const struct omq_act *a, size_t n, const omq_real *x)
{
    omq_real first = omq_act_init_step(a, n, x), best = first;
    double least = omq_act_error(a, first, n, 1, x);

    for (int i = -8; i <= 8; i++) {
        omq_real s = first * (omq_real)exp2(i / 24.0);
        double e = omq_act_error(a, s, n, 1, x);

        if (e < least) {
            least = e;
            best = s;
        }
    }
    return best;
}
