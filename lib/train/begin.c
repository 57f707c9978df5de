/* SPDX-License-Identifier: MIT
 *
 * What a network begins with: the graph of an architecture or of an ONNX file,
 * and weights of files in place of random ones.
 */
#include "train/train_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/onnx_read.h"
#include "port/weights.h"

int omq_begin_graph(struct omq_beginning *b, const struct omq_config *cfg,
                    const struct omq_dataset *d, struct omq_graph *g, struct omq_err *err)
{
    const struct omq_onnx_want want = {.h = d->height, .w = d->width, .c = d->channels,
                                       .n_classes = d->n_classes, .init = &cfg->init};
    int rc;

    if (!cfg->model.onnx[0])
        return omq_arch_build(g, &cfg->model, d->height, d->width, d->channels, d->n_classes, err);
    b->onnx = calloc(1, sizeof(*b->onnx));
    if (!b->onnx)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a network");
    if ((rc = omq_onnx_net_open(b->onnx, cfg->model.onnx, &want, err)) < 0)
        return rc;
    *g = b->onnx->graph;
    b->onnx->graph = (struct omq_graph){0};
    return OMQ_OK;
}

/* ---- weights ---- */

/* The lines of a result, and one that sums it up, behind those there are. */
static int add_lines(struct omq_beginning *b, const struct omq_weights_result *r, const char *path,
                     bool loaded, struct omq_err *err)
{
    size_t n_old = b->said ? strlen(b->said) : 0;
    size_t n = n_old + (r->text ? strlen(r->text) : 0) + strlen(path) + 128;
    char *text = realloc(b->said, n);

    if (!text)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a list of names");
    b->said = text;
    n_old += (size_t)snprintf(text + n_old, n - n_old, "%s", r->text ? r->text : "");
    if (loaded && r->skipped)
        snprintf(text + n_old, n - n_old, "%d arrays loaded from '%s', %d parameters skipped\n",
                 r->loaded, path, r->skipped);
    else if (loaded)
        snprintf(text + n_old, n - n_old, "%d arrays loaded from '%s'\n", r->loaded, path);
    return OMQ_OK;
}

/* is_last: no other source has the names that skip may be for. */
static int load(struct omq_beginning *b, struct omq_net *net, const struct omq_source *s,
                const struct omq_init_config *cfg, bool is_last, const char *remedy,
                struct omq_err *err)
{
    struct omq_weights_result r;
    int rc = omq_weights_load(net, s, cfg, remedy, &r, err), said;

    if (rc == OMQ_OK && is_last && r.idle_skip)
        rc = omq_fail(err, OMQ_ECONFIG, "init_skip has '%s', which fits no parameter: the last "
                      "layer is '%s', and --dry-run without it lists all layers", r.idle_skip,
                      net->plan.layers[net->plan.n_layers - 1].name);
    said = add_lines(b, &r, s->path, rc == OMQ_OK, rc < 0 ? NULL : err);
    omq_weights_result_release(&r);
    b->has_weights |= rc == OMQ_OK;
    return rc < 0 ? rc : said;
}

/* Those of the ONNX file, whose names are the graph's; map and eps are not for them. */
static int load_onnx(struct omq_beginning *b, struct omq_net *net,
                     const struct omq_init_config *init, struct omq_err *err)
{
    struct omq_init_config cfg = *init;

    cfg.n_map = 0;
    cfg.strict = true;
    cfg.bn_eps = OMQ_BN_EPS;
    return load(b, net, &b->onnx->weights, &cfg, !init->file[0], "--skip LAYER", err);
}

static int load_init(struct omq_beginning *b, struct omq_net *net,
                     const struct omq_init_config *init, struct omq_err *err)
{
    struct omq_source s;
    int rc = omq_source_open(&s, init->file, err);

    if (rc < 0)
        return rc;
    rc = load(b, net, &s, init, true, "--map, --skip or --no-strict", err);
    omq_source_release(&s);
    return rc;
}

/* Which layers got a norm that does nothing. */
static int mark_added(struct omq_beginning *b, const struct omq_plan *p, struct omq_err *err)
{
    if (b->onnx->n_added == 0)
        return OMQ_OK;
    b->added_norms = calloc((size_t)p->n_layers, sizeof(*b->added_norms));
    if (!b->added_norms)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a list of layers");
    for (int i = 0; i < b->onnx->n_added; i++)
        for (int l = 0; l < p->n_layers; l++)
            b->added_norms[l] |= strcmp(p->layers[l].norm, b->onnx->added[i]) == 0;
    return OMQ_OK;
}

static void release_onnx(struct omq_beginning *b)
{
    if (b->onnx)
        omq_onnx_net_release(b->onnx);
    free(b->onnx);
    b->onnx = NULL;
}

/* What is said of a file that there is none of; init_skip may be for an ONNX file's, too. */
static int check_alone(const struct omq_beginning *b, const struct omq_init_config *init,
                       struct omq_err *err)
{
    const bool skips = init->n_skip > 0 && !b->onnx;

    if (init->file[0] || b->resuming || (init->n_map == 0 && !skips))
        return OMQ_OK;
    return omq_fail(err, OMQ_ECONFIG, "%s is for weights of a file, and there is none: name one by "
                    "--init FILE, or leave it out", init->n_map ? "init_map" : "init_skip");
}

int omq_begin_weights(struct omq_beginning *b, const struct omq_init_config *init,
                      struct omq_net *net, struct omq_err *err)
{
    int rc = check_alone(b, init, err);

    if (rc < 0)
        return rc;
    if (b->onnx && !b->resuming && ((rc = load_onnx(b, net, init, err)) < 0 ||
                                    (rc = mark_added(b, &net->plan, err)) < 0))
        return rc;
    release_onnx(b);
    return init->file[0] && !b->resuming ? load_init(b, net, init, err) : OMQ_OK;
}

void omq_begin_release(struct omq_beginning *b)
{
    release_onnx(b);
    free(b->said);
    free(b->added_norms);
}

/* ---- norms that do nothing ---- */

int omq_train_settle_norms(struct omq_train *t, struct omq_err *err)
{
    struct omq_exec *x = NULL;
    struct omq_batch batch;
    struct omq_net net;
    int rc;

    if (!t->beginning.added_norms)
        return OMQ_OK;
    if ((rc = omq_train_open_exact(&net, &t->net, 0, err)) < 0)
        return rc;
    rc = omq_exec_open(&x, &net, t->pool, t->config.train.batch_size, false, err);
    omq_loader_set_mixing(t->loader, false);
    omq_loader_start(t->loader, 0, 0);
    if (rc == OMQ_OK && (rc = omq_loader_next(t->loader, &batch, NULL, err)) > 0) {
        omq_exec_adopt_stats(x, 0, t->beginning.added_norms, batch.codes, batch.n);
        for (int p = 0; p < t->net.n_precisions; p++)
            for (int l = 0; l < net.plan.n_layers; l++)
                omq_layer_copy(omq_net_layer(&net, 0, l), omq_net_layer(&t->net, p, l));
    }
    omq_loader_set_mixing(t->loader, true);
    omq_exec_close(x);
    omq_net_release(&net);
    return rc < 0 ? rc : OMQ_OK;
}
