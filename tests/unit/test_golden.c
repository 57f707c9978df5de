/* SPDX-License-Identifier: MIT
 *
 * The golden vectors of tests/golden through quant, the engine's units and
 * small networks: integers and float bits as a second implementation of
 * docs/architecture.md's numerics, scripts/gen-golden.py, computed them.
 * scripts/check-golden.sh sees to it that they are what that writes.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"
#include "golden_case.h"

Suite *omq_suite_golden(void);

enum { MAX_PACKED = 1 << 16 };

static struct omq_err err;

/* ---- quant ---- */

static enum omq_grid_kind grid_kind(const struct gcase *c)
{
    const char *word = golden_text(c, "grid");

    return strcmp(word, "auto") == 0 ? OMQ_GRID_AUTO
         : strcmp(word, "midrise") == 0 ? OMQ_GRID_MIDRISE : OMQ_GRID_SYMMETRIC;
}

static void check_weights(const struct gcase *c)
{
    struct omq_grid g = omq_grid_of(grid_kind(c), golden_integer(c, "bits"));
    omq_real w[MAX_VALUES], step = (omq_real)golden_number(c, "step");
    omq_real unit = omq_grid_unit(&g, step);
    omq_real got[MAX_VALUES];
    int8_t k[MAX_VALUES];
    int n;

    golden_reals(c, "w", w, &n);
    omq_weights_quantize(&g, 1, (size_t)n, w, &step, 1, k);
    for (int i = 0; i < n; i++)
        got[i] = k[i];
    golden_same_reals(c, "k", got, n);
    golden_same_reals(c, "unit", &unit, 1);
}

struct norm_values {
    omq_real gamma[MAX_VALUES], beta[MAX_VALUES], mean[MAX_VALUES], var[MAX_VALUES];
};

static struct omq_norm norm_of(const struct gcase *c, struct norm_values *v)
{
    struct omq_norm norm = {.eps = OMQ_BN_EPS};
    int n;

    norm.gamma = golden_reals(c, "gamma", v->gamma, &n);
    norm.beta = golden_reals(c, "beta", v->beta, &n);
    norm.mean = golden_reals(c, "mean", v->mean, &n);
    norm.var = golden_reals(c, "var", v->var, &n);
    return norm;
}

static struct omq_addend fold(const struct gcase *c, int n, const omq_real *unit, int n_units,
                              omq_real *m, omq_real *b)
{
    const double s_out = golden_number(c, "s_out"), s_res = golden_number(c, "s_res");
    const int zp_out = golden_integer(c, "zp_out");
    struct norm_values values;
    struct omq_norm norm = norm_of(c, &values);

    omq_fold(n, unit, n_units, golden_number(c, "s_in"), &norm, golden_integer(c, "parts"), s_out,
             s_res > 0 ? 0 : zp_out, m, b);
    return omq_fold_residual(s_res, golden_integer(c, "zp_res"), s_out, zp_out);
}

static void check_fold(const struct gcase *c)
{
    omq_real unit[MAX_VALUES], m[6], b[6];
    struct omq_addend add;
    int n_units;

    golden_reals(c, "unit", unit, &n_units);
    add = fold(c, 6, unit, n_units, m, b);
    golden_same_reals(c, "m", m, 6);
    golden_same_reals(c, "b", b, 6);
    golden_same_reals(c, "r", &add.r, 1);
    golden_same_reals(c, "zero", &add.zero, 1);
}

static void check_foldpool(const struct gcase *c)
{
    omq_real m, b;

    omq_fold_pool(golden_number(c, "s_in"), golden_integer(c, "count"),
                  golden_number(c, "s_out"), golden_integer(c, "zp_out"), &m, &b);
    golden_same_reals(c, "m", &m, 1);
    golden_same_reals(c, "b", &b, 1);
}

/* ---- one unit alone ---- */

/* A plan of one unit: tensor 0 to tensor 1, with tensor 2 as residual. */
struct lone {
    struct omq_engine engine;
    struct omq_engine_unit unit;
    struct omq_engine_tensor tensors[3];
};

/* Places: q_max and zero points of the tensors are the case's. */
static void lone_arrange(struct lone *l, bool has_res)
{
    const struct omq_window *w = &l->unit.win;

    l->unit.out = 1;
    l->unit.res = has_res ? 2 : -1;
    l->tensors[0].h = w->h;
    l->tensors[0].w = w->w;
    l->tensors[0].c = w->c;
    for (int i = 1; i < 3; i++) {
        l->tensors[i].h = w->oh;
        l->tensors[i].w = w->ow;
        l->tensors[i].c = l->unit.oc;
    }
    l->engine = (struct omq_engine){.n_units = 1, .n_tensors = 3, .units = &l->unit,
                                    .tensors = l->tensors};
    ck_assert_msg(omq_engine_arrange(&l->engine, &err) == 0, "%s", err.msg);
    if (has_res) { /* which no unit writes: behind the others */
        l->tensors[2].row = w->ow * (ptrdiff_t)l->unit.oc;
        l->tensors[2].offset = l->engine.image_bytes;
    }
}

/* Reads and writes a tensor's codes, row by row. */
static void copy_codes(const struct omq_engine_io *io, int tensor, uint8_t *dense, bool in)
{
    const struct omq_engine_tensor *t = &io->e->tensors[tensor];
    size_t row = (size_t)t->w * (size_t)t->c;

    for (int y = 0; y < t->h; y++, dense += row) {
        uint8_t *place = omq_engine_codes(io, tensor, 0) + y * t->row;

        memcpy(in ? place : dense, in ? dense : place, row);
    }
}

static void lone_run(struct lone *l, uint8_t *x, uint8_t *res, uint8_t *q, float *logits,
                     const struct omq_engine_watch *watch)
{
    static char tensors[1 << 16];
    static omq_real row[MAX_VALUES], kernel[1 << 16];
    struct omq_engine_io io = {.e = &l->engine, .n = 1, .parts = 1, .tensors = tensors,
                               .kernel = kernel, .row = row, .logits = logits, .watch = watch};

    if (!l->engine.units)
        lone_arrange(l, res != NULL);
    ck_assert(l->engine.image_bytes < sizeof(tensors) / 2);
    omq_engine_load(&io, x);
    if (res)
        copy_codes(&io, 2, res, true);
    omq_engine_unit_run(&io, 0);
    if (!logits)
        copy_codes(&io, 1, q, false);
}

static void check_requant(const struct gcase *c)
{
    bool is_signed = golden_integer(c, "signed") != 0;
    const struct omq_act in = omq_act_of(8, is_signed);
    const struct omq_act out = omq_act_of(golden_integer(c, "bits"), is_signed);
    const struct omq_rescale r = {
        .zp_in = in.zero_point, .zp_out = out.zero_point, .q_max = out.q_max,
        .ratio = (omq_real)golden_number(c, "s_in") / (omq_real)golden_number(c, "s_out"),
    };
    struct lone l = {.unit = {.kind = OMQ_UNIT_REQUANT, .rescale = r, .oc = 1,
                              .win = {.h = 1, .w = 256, .c = 1, .oh = 1, .ow = 256}}};
    uint8_t codes[256], q[256];

    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)i;
    lone_run(&l, codes, NULL, q, NULL, NULL);
    golden_same_bytes(c, "table", q, 256);
}

static struct omq_window window_of(const struct gcase *c, int groups)
{
    struct omq_window w = {.h = golden_integer(c, "h"), .w = golden_integer(c, "w"),
                           .c = golden_integer(c, "c")};

    w.c_count = w.c / groups;
    w.kh = w.kw = golden_integer(c, "kernel");
    w.sh = w.sw = golden_integer(c, "stride");
    w.ph = w.pw = golden_integer(c, "pad");
    w.oh = (w.h + 2 * w.ph - w.kh) / w.sh + 1;
    w.ow = (w.w + 2 * w.pw - w.kw) / w.sw + 1;
    return w;
}

/* The case's weights [out][in][kh][kw], packed as the unit keeps them: to w of the
 * unit, and its start. Returns the real value of one code. */
static omq_real make_weights(const struct gcase *c, struct omq_engine_unit *u)
{
    struct omq_grid g = omq_grid_of(grid_kind(c), golden_integer(c, "wbits"));
    omq_real master[MAX_VALUES], step = (omq_real)golden_number(c, "step");
    int n, in = u->win.c_count, kk = u->win.kh * u->win.kw, oc = u->oc / u->groups;
    int8_t k[MAX_VALUES], w[MAX_VALUES];

    golden_reals(c, "weight", master, &n);
    ck_assert_int_eq(n, u->oc * in * kk);
    omq_weights_quantize(&g, u->oc, (size_t)(in * kk), master, &step, 1, k);
    for (int o = 0; o < u->oc; o++)
        for (int i = 0; i < in; i++)
            for (int j = 0; j < kk; j++)
                w[(o * kk + j) * in + i] = k[(o * in + i) * kk + j];
    u->shape.w_bits = g.bits;
    u->shape.midrise = g.midrise;
    u->group_bytes = omq_conv_packed_size(&u->shape);
    ck_assert(u->group_bytes * (size_t)u->groups <= MAX_PACKED);
    for (int i = 0; i < u->groups; i++)
        omq_kern()->pack_codes(&u->shape, w + i * oc * in * kk,
                               u->w + (size_t)i * u->group_bytes,
                               u->start + i * omq_engine_padded(u));
    return omq_grid_unit(&g, step);
}

/* fold()'s factors of all outputs, to where each group has its own. */
static void make_factors(const struct gcase *c, struct omq_engine_unit *u, omq_real unit)
{
    omq_real m[16], b[16];
    int oc = u->oc / u->groups;

    ck_assert_int_le(u->oc, 16);
    u->add = fold(c, u->oc, &unit, 1, m, b);
    for (int o = 0; o < u->oc; o++) {
        int at = o / oc * omq_engine_padded(u) + o % oc;

        u->m[at] = m[o];
        u->b[at] = b[o];
    }
}

static void count_value(void *ctx, int unit, omq_real v, uint8_t q)
{
    (void)unit;
    (void)v;
    (void)q;
    ++*(int *)ctx;
}

/* As it runs, and once more as a watch sees it, rounded outside the kernel. */
static void check_codes(const struct gcase *c, struct lone *l, uint8_t *x, uint8_t *res, int n)
{
    int seen = 0;
    struct omq_engine_watch watch = {.ctx = &seen, .value = count_value};
    uint8_t q[MAX_VALUES];

    lone_run(l, x, res, q, NULL, NULL);
    golden_same_bytes(c, "q", q, n);
    memset(q, 0, sizeof(q));
    lone_run(l, x, res, q, NULL, &watch);
    golden_same_bytes(c, "q", q, n);
    if (l->unit.kind != OMQ_UNIT_MAXPOOL)
        ck_assert_int_eq(seen, n);
}

static void check_conv(const struct gcase *c)
{
    uint8_t x[MAX_VALUES], res[MAX_VALUES];
    omq_real m[256] = {0}, b[256] = {0}, got[MAX_VALUES];
    static uint8_t packed[MAX_PACKED];
    int32_t start[256];
    ptrdiff_t run_at[64];
    float logits[MAX_VALUES];
    struct lone l = {.unit = {.kind = OMQ_UNIT_CONV, .groups = golden_integer(c, "groups"),
                              .oc = golden_integer(c, "out"), .m = m, .b = b, .w = packed,
                              .start = start, .run_at = run_at}};
    struct omq_engine_unit *u = &l.unit;
    bool has_res = golden_text(c, "res") != NULL;
    int n;

    u->win = window_of(c, u->groups);
    l.tensors[0].act = omq_act_of(golden_integer(c, "abits"), golden_integer(c, "signed") != 0);
    l.tensors[1].act.q_max = golden_integer(c, "q_max");
    l.tensors[1].is_logits = golden_integer(c, "q_max") == 0;
    lone_arrange(&l, has_res);
    u->shape = (struct omq_conv_shape){.oc = u->oc / u->groups, .q_max = golden_integer(c, "q_max"),
                                       .x_max = l.tensors[0].act.q_max,
                                       .zero_point = l.tensors[0].act.zero_point};
    omq_engine_runs(&l.engine, u);
    omq_engine_place_runs(&l.engine, u);
    make_factors(c, u, make_weights(c, u));
    ck_assert_int_eq(golden_bytes(c, "x", x), u->win.h * u->win.w * u->win.c);
    n = u->win.oh * u->win.ow * u->oc;
    if (has_res)
        ck_assert_int_eq(golden_bytes(c, "res", res), n);
    if (u->shape.q_max) {
        check_codes(c, &l, x, has_res ? res : NULL, n);
        return;
    }
    lone_run(&l, x, NULL, NULL, logits, NULL);
    for (int i = 0; i < n; i++)
        got[i] = (omq_real)logits[i];
    golden_same_reals(c, "logits", got, n);
}

static void check_pool(const struct gcase *c)
{
    bool max = strcmp(c->kind, "maxpool") == 0;
    uint8_t x[MAX_VALUES];
    omq_real m = 0, b = 0;
    struct lone l = {.unit = {.kind = max ? OMQ_UNIT_MAXPOOL : OMQ_UNIT_AVGPOOL, .groups = 1,
                              .win = window_of(c, 1), .m = &m, .b = &b}};

    l.unit.oc = l.unit.win.c;
    ck_assert_int_eq(golden_bytes(c, "x", x), l.unit.win.h * l.unit.win.w * l.unit.win.c);
    if (!max) {
        l.tensors[0].act.zero_point = golden_integer(c, "zp_in");
        l.tensors[1].act.q_max = golden_integer(c, "q_max");
        omq_fold_pool(golden_number(c, "s_in"), l.unit.win.kh * l.unit.win.kw,
                      golden_number(c, "s_out"), golden_integer(c, "zp_out"), &m, &b);
    }
    check_codes(c, &l, x, NULL, l.unit.win.oh * l.unit.win.ow * l.unit.oc);
}

/* ---- whole networks ---- */

static int add(struct omq_graph *g, const char *name, enum omq_op op, struct omq_node n)
{
    int rc;

    snprintf(n.name, sizeof(n.name), "%s", name);
    n.op = op;
    n.in[0] = n.in[0] ? n.in[0] : g->n_nodes - 1;
    rc = omq_graph_add(g, &n, &err);
    ck_assert_msg(rc >= 0, "%s", err.msg);
    return rc;
}

#define CONV(c, g, b) \
    (struct omq_node) { .channels = (c), .kernel = 3, .stride = 1, .pad = 1, \
                      .groups = (g), .bias = (b) }
#define NONE (struct omq_node) { .op = OMQ_OP_INPUT }

/* The network that gen-golden.py's class Net describes. */
static void build_graph(struct omq_graph *g)
{
    int skip;

    ck_assert(omq_graph_init(g, 6, 6, 2, &err) == 0);
    add(g, "conv1", OMQ_OP_CONV, CONV(4, 1, false));
    add(g, "bn1", OMQ_OP_BATCHNORM, NONE);
    skip = add(g, "relu1", OMQ_OP_RELU, NONE);
    add(g, "a", OMQ_OP_CONV, CONV(4, 1, false));
    add(g, "abn", OMQ_OP_BATCHNORM, NONE);
    add(g, "arelu", OMQ_OP_RELU, NONE);
    add(g, "b", OMQ_OP_CONV, CONV(4, 1, false));
    add(g, "bbn", OMQ_OP_BATCHNORM, NONE);
    add(g, "add", OMQ_OP_ADD, (struct omq_node){.in = {0, skip}});
    add(g, "brelu", OMQ_OP_RELU, NONE);
    add(g, "pool", OMQ_OP_MAXPOOL, (struct omq_node){.kernel = 2, .stride = 2});
    add(g, "c", OMQ_OP_CONV, CONV(6, 2, true));
    add(g, "crelu", OMQ_OP_RELU, NONE);
    add(g, "avg", OMQ_OP_AVGPOOL, (struct omq_node){.kernel = 2, .stride = 1});
    add(g, "flatten", OMQ_OP_FLATTEN, NONE);
    add(g, "fc", OMQ_OP_LINEAR, (struct omq_node){.channels = 3, .bias = true});
}

/* Splits "NAME numbers" and returns the numbers' text. */
static const char *split_name(const char *value, char name[OMQ_NAME_SIZE])
{
    size_t n = strcspn(value, " ");

    ck_assert_uint_lt(n, OMQ_NAME_SIZE);
    memcpy(name, value, n);
    name[n] = 0;
    return value + n + 1;
}

static void set_param(struct omq_net *net, const char *value)
{
    double values[MAX_VALUES];
    char name[OMQ_NAME_SIZE];
    int n = golden_parse(split_name(value, name), values);

    for (int i = 0; i < net->n_params; i++) {
        struct omq_param *p = &net->params[i];

        if (strcmp(p->name, name) != 0)
            continue;
        ck_assert_msg((size_t)n == p->n, "%s: %d values for %zu", name, n, p->n);
        for (int j = 0; j < n; j++)
            p->value[j] = (omq_real)values[j];
        return;
    }
    ck_abort_msg("the network has no parameter '%s'", name);
}

struct net_check {
    const struct gcase *c;
    const struct omq_net *net;
    int n_codes;
};

/* The case has the codes of every unit: "codes NAME VALUE...". */
static const char *codes_of(const struct gcase *c, const char *unit, char name[OMQ_NAME_SIZE])
{
    for (int i = 0; i < c->n; i++) {
        const char *values;

        if (strcmp(c->lines[i].key, "codes") != 0)
            continue;
        values = split_name(c->lines[i].value, name);
        if (strcmp(name, unit) == 0)
            return values;
    }
    ck_abort_msg("the case has no codes of '%s'", unit);
}

static void same_codes(void *ctx, int unit, const uint8_t *codes, ptrdiff_t image, ptrdiff_t row)
{
    struct net_check *check = ctx;
    const struct omq_unit *u = &check->net->plan.units[unit];
    const struct omq_tensor *t = &check->net->plan.tensors[u->out];
    double values[MAX_VALUES];
    char name[OMQ_NAME_SIZE];
    int n = golden_parse(codes_of(check->c, u->name, name), values), w = t->w * t->c;

    (void)image;
    ck_assert_int_eq(n, t->h * w);
    for (int i = 0; i < n; i++)
        ck_assert_msg(codes[i / w * row + i % w] == values[i],
                      "case %d (net), %s[%d]: got %d, golden %g", check->c->number, name, i,
                      codes[i / w * row + i % w], values[i]);
    check->n_codes++;
}

static void check_net(const struct gcase *c)
{
    struct omq_quant_config quant = {.levels = 1, .first_last_bits = 8};
    struct omq_preprocess pre = {.height = 6, .width = 6, .channels = 2,
                                 .step = (float)golden_number(c, "s_x")};
    struct omq_precision p = {golden_integer(c, "w"), golden_integer(c, "a")};
    struct omq_net net;
    struct net_check check = {.c = c, .net = &net};
    const struct omq_engine_watch watch = {.ctx = &check, .codes = same_codes};
    int n_params = 0;
    struct omq_engine *e;
    struct omq_graph g;
    omq_real got[3];
    uint8_t x[MAX_VALUES];
    float logits[3];
    void *scratch;

    build_graph(&g);
    ck_assert_msg(omq_net_init(&net, &g, &p, 1, &quant, &pre, 1, false, &err) == 0, "%s", err.msg);
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->lines[i].key, "param") == 0) {
            set_param(&net, c->lines[i].value);
            n_params++;
        }
    ck_assert_int_eq(n_params, net.n_params);
    ck_assert_int_eq(golden_bytes(c, "x", x), 6 * 6 * 2);
    ck_assert_msg(omq_engine_open(&e, &net, NULL, 0, &err) == 0, "%s", err.msg);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, 1, 1));
    omq_engine_run_watched(e, x, 1, logits, scratch, &watch);
    ck_assert_int_eq(check.n_codes, net.plan.n_units - 1); /* the last one's are the logits */
    for (int i = 0; i < 3; i++)
        got[i] = (omq_real)logits[i];
    golden_same_reals(c, "logits", got, 3);
    free(scratch);
    omq_engine_close(e);
    omq_net_release(&net);
}

/* ---- files ---- */

static const struct {
    const char *kind;
    void (*check)(const struct gcase *c);
} kinds[] = {
    {"weights", check_weights}, {"fold", check_fold}, {"foldpool", check_foldpool},
    {"requant", check_requant}, {"conv", check_conv}, {"maxpool", check_pool},
    {"avgpool", check_pool},    {"net", check_net},
};

static void check_case(const struct gcase *c)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].kind, c->kind) == 0) {
            kinds[i].check(c);
            return;
        }
    ck_abort_msg("case %d is of an unknown kind '%s'", c->number, c->kind);
}

static const struct {
    const char *name;
    int n_cases;
} files[] = {
    {"weights", 48}, {"fold", 29}, {"requant", 34}, {"conv", 80}, {"pool", 80}, {"net", 16},
};
enum { N_FILES = sizeof(files) / sizeof(files[0]) };

START_TEST(library_matches_the_vectors)
{
    char path[64];

    snprintf(path, sizeof(path), "tests/golden/%s.txt", files[_i].name);
    ck_assert_int_eq(golden_each(path, check_case), files[_i].n_cases);
}
END_TEST

Suite *omq_suite_golden(void)
{
    Suite *s = suite_create("golden");
    TCase *t = tcase_create("golden");

    tcase_add_loop_test(t, library_matches_the_vectors, 0, N_FILES);
    suite_add_tcase(s, t);
    return s;
}
