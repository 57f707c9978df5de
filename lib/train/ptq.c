/* SPDX-License-Identifier: MIT
 *
 * All precisions of a run from its weights in floating point.
 */
#include "train/train_internal.h"

#include "base/clock.h"

static bool is_exact(struct omq_precision p)
{
    return p.w == OMQ_FLOAT_BITS && p.a == OMQ_FLOAT_BITS;
}

int omq_train_open_exact(struct omq_net *net, const struct omq_net *from, int precision,
                         struct omq_err *err)
{
    const struct omq_precision exact = {OMQ_FLOAT_BITS, OMQ_FLOAT_BITS};
    const struct omq_quant_config quant = {.view = OMQ_VIEW_OFF};
    int rc = omq_net_like(net, from, &exact, 1, &quant, err);

    for (int l = 0; rc == OMQ_OK && l < net->plan.n_layers; l++)
        omq_layer_copy(omq_net_layer(from, precision, l), omq_net_layer(net, 0, l));
    return rc;
}

static int calibrate(struct omq_calibration *c, int p, const struct omq_train_callbacks *cb,
                     struct omq_err *err)
{
    struct omq_precision precision = c->net->precisions[p];
    double start = omq_now();
    char name[16];
    int rc;

    if (is_exact(precision))
        return OMQ_OK;
    if ((rc = omq_calibrate(c, p, err)) == OMQ_OK)
        omq_train_note(cb, "%s calibrated with %d images in %.1f s",
                       omq_precision_name(precision, name), c->batch.n, omq_now() - start);
    return rc;
}

int omq_train_calibrate(struct omq_train *t, const struct omq_train_callbacks *cb,
                        const volatile sig_atomic_t *stop, struct omq_err *err)
{
    const int n = t->schedule.epochs[OMQ_STAGE_HIGHEST] > 0 ? 1 : t->net.n_precisions;
    struct omq_calibration c;
    struct omq_net exact;
    int rc = omq_train_open_exact(&exact, &t->net, t->schedule.order[0], err);

    if (rc < 0)
        return rc;
    rc = omq_calibration_open(&c, &t->net, &exact, 0, t->train, &t->config, t->pool, err);
    if (rc == OMQ_OK) {
        c.stop = stop;
        omq_train_note_replaced(cb, c.loader, NULL, "the calibration");
        for (int i = 0; rc == OMQ_OK && i < n; i++)
            rc = calibrate(&c, t->schedule.order[i], cb, err);
        omq_calibration_close(&c);
    }
    omq_net_release(&exact);
    return rc;
}
