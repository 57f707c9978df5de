/* SPDX-License-Identifier: MIT
 *
 * Graphs that no plan is made of: the node that is to blame is named.
 */
#include "graphhelp.h"

Suite *omq_suite_plan_refuse(void);

static void relu_of_input(struct omq_graph *g)
{
    head(g, conv(g, "a", relu(g, "culprit", 0), 4, 3, 1));
}

static void relu_after_pool(struct omq_graph *g)
{
    head(g, relu(g, "culprit", pool(g, "p", OMQ_OP_AVGPOOL, conv(g, "a", 0, 4, 3, 1))));
}

static void norm_of_input(struct omq_graph *g)
{
    head(g, conv(g, "a", op(g, "culprit", OMQ_OP_BATCHNORM, 0), 4, 3, 1));
}

static void two_norms(struct omq_graph *g)
{
    int x = op(g, "bn", OMQ_OP_BATCHNORM, conv(g, "a", 0, 4, 3, 1));

    head(g, op(g, "culprit", OMQ_OP_BATCHNORM, x));
}

static void norm_after_relu(struct omq_graph *g)
{
    head(g, op(g, "culprit", OMQ_OP_BATCHNORM, relu(g, "r", conv(g, "a", 0, 4, 3, 1))));
}

static void conv_read_twice(struct omq_graph *g)
{
    int a = conv(g, "a", 0, 4, 3, 1);
    int x = relu(g, "r", op(g, "culprit", OMQ_OP_BATCHNORM, a));

    head(g, join(g, "add", conv(g, "b", x, 4, 3, 1), a));
}

static void add_of_pools(struct omq_graph *g)
{
    int x = relu(g, "r", conv(g, "a", 0, 4, 3, 1));

    head(g, join(g, "culprit", pool(g, "p", OMQ_OP_MAXPOOL, x), pool(g, "q", OMQ_OP_AVGPOOL, x)));
}

static void add_to_itself(struct omq_graph *g)
{
    int x = conv(g, "a", 0, 4, 3, 1);

    head(g, join(g, "culprit", x, x));
}

static void two_adds(struct omq_graph *g)
{
    int x = relu(g, "r", conv(g, "a", 0, 4, 3, 1));
    int y = join(g, "add", conv(g, "b", x, 4, 3, 1), x);

    head(g, join(g, "culprit", y, x));
}

static void add_of_input(struct omq_graph *g)
{
    head(g, join(g, "culprit", conv(g, "a", 0, 3, 3, 1), 0));
}

static void relu_of_a_part(struct omq_graph *g)
{
    int x = pool(g, "p", OMQ_OP_MAXPOOL, conv(g, "a", 0, 4, 3, 1));
    int y = conv(g, "b", relu(g, "culprit", x), 4, 3, 1); /* and x as it is */

    head(g, join(g, "add", y, x));
}

static void relu_with_less(struct omq_graph *g)
{
    head(g, relu_to(g, "culprit", 4, relu_to(g, "r", 6, conv(g, "a", 0, 4, 3, 1))));
}

static void pool_of_input(struct omq_graph *g)
{
    head(g, conv(g, "a", pool(g, "culprit", OMQ_OP_MAXPOOL, 0), 4, 3, 1));
}

static void global_pool_of_input(struct omq_graph *g)
{
    int x = add(g, "b", op(g, "culprit", OMQ_OP_GLOBALPOOL, 0),
                (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 3});

    add(g, "c", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 3});
}

static void dead_end(struct omq_graph *g)
{
    int x = relu(g, "r", conv(g, "a", 0, 4, 3, 1));

    conv(g, "culprit", x, 4, 3, 1);
    head(g, x);
}

static void ends_in_relu(struct omq_graph *g)
{
    relu(g, "culprit", head(g, conv(g, "a", 0, 4, 3, 1)));
}

static void ends_in_pool(struct omq_graph *g)
{
    op(g, "culprit", OMQ_OP_GLOBALPOOL, conv(g, "b", conv(g, "a", 0, 4, 3, 1), 4, 3, 1));
}

static void ends_in_image(struct omq_graph *g)
{
    conv(g, "culprit", conv(g, "a", 0, 4, 3, 1), 4, 3, 1);
}

static void ends_in_add(struct omq_graph *g)
{
    int x = add(g, "fc", op(g, "flat", OMQ_OP_FLATTEN, conv(g, "a", 0, 4, 3, 1)),
                (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 5});
    int y = add(g, "fc2", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 5});

    join(g, "culprit", y, x);
}

static void one_layer(struct omq_graph *g)
{
    add(g, "culprit", op(g, "flat", OMQ_OP_FLATTEN, 0),
        (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 5});
}

static void no_layer(struct omq_graph *g) { op(g, "culprit", OMQ_OP_FLATTEN, 0); }

/* The bias would be dropped: the batch norm has its own. */
static void bias_before_norm(struct omq_graph *g)
{
    int x = add(g, "culprit", 0, (struct omq_node){.op = OMQ_OP_CONV, .channels = 4, .kernel = 3,
                                                   .stride = 1, .groups = 1, .bias = true});

    head(g, op(g, "bn", OMQ_OP_BATCHNORM, x));
}

/* Flattened codes are in the order of pixels, PyTorch's in that of channels:
 * only a linear layer can set that right. */
static void conv_of_flat(struct omq_graph *g)
{
    head(g, conv(g, "culprit", op(g, "flat", OMQ_OP_FLATTEN, conv(g, "a", 0, 4, 3, 1)), 4, 1, 0));
}

static void pool_of_flat(struct omq_graph *g)
{
    int x = op(g, "flat", OMQ_OP_FLATTEN, conv(g, "a", 0, 4, 3, 1));

    head(g, op(g, "culprit", OMQ_OP_GLOBALPOOL, x));
}

static void add_of_flat(struct omq_graph *g)
{
    int x = op(g, "flat", OMQ_OP_FLATTEN, relu(g, "r", conv(g, "a", 0, 4, 3, 1)));
    int y = add(g, "b", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 256});

    head(g, join(g, "culprit", y, x));
}

/* The output must be the last layer's, not what stands behind it. */
static void ends_elsewhere(struct omq_graph *g)
{
    int x = conv(g, "a", 0, 4, 3, 1);

    head(g, x);
    op(g, "culprit", OMQ_OP_FLATTEN, x);
}

static void (*const patterns[])(struct omq_graph *g) = {
    relu_of_input, relu_after_pool, norm_of_input, two_norms, norm_after_relu, conv_read_twice,
    add_of_pools, add_to_itself, two_adds, add_of_input, relu_of_a_part, relu_with_less,
    pool_of_input, global_pool_of_input, dead_end, ends_in_relu, ends_in_add,
    ends_in_pool, ends_in_image, one_layer, no_layer, bias_before_norm, conv_of_flat,
    pool_of_flat, add_of_flat, ends_elsewhere,
};
enum { N_PATTERNS = sizeof(patterns) / sizeof(patterns[0]) };

START_TEST(what_cannot_be_fused_is_named)
{
    struct omq_graph g;
    struct omq_plan p;

    start(&g, 8, 8, 3);
    patterns[_i](&g);
    ck_assert_int_eq(omq_plan_init(&p, &g, &err), OMQ_EUNSUP);
    has_text("'culprit'");
    ck_assert(p.units == NULL && p.n_units == 0);
    omq_graph_release(&g);
}
END_TEST

Suite *omq_suite_plan_refuse(void)
{
    Suite *s = suite_create("plan_refuse");
    TCase *t = tcase_create("plan_refuse");

    tcase_add_loop_test(t, what_cannot_be_fused_is_named, 0, N_PATTERNS);
    suite_add_tcase(s, t);
    return s;
}
