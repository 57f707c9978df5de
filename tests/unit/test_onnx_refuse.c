/* SPDX-License-Identifier: MIT
 *
 * ONNX files that are refused: what is not supported, by the name of its node; what is
 * damaged, and what means harm, with bounded memory and time.
 */
#include <time.h>

#include "failalloc.h"
#include "onnxhelp.h"
#include "port/onnx_parse.h"

Suite *omq_suite_onnx_refuse(void);

/* ---- what is refused ---- */

static void bad_dilation(void)
{
    NODE("Conv", "a", "image", "w") { ints("dilations", 2, 2); }
}
static void bad_pads(void)
{
    NODE("Conv", "a", "image", "w") { ints("pads", 0, 0, 1, 1); }
}
static void bad_auto(void)
{
    NODE("Conv", "a", "image", "w") { omq_onnx_text(&x, "auto_pad", "SAME_UPPER"); }
}
static void bad_group(void)
{
    NODE("Conv", "a", "image", "w") { omq_onnx_int(&x, "group", 2); }
}
static void bad_strides(void)
{
    NODE("Conv", "a", "image", "w") { ints("strides", 1, 2); }
}
/* Both a number and more of them than there is room for. */
static void bad_numbers(void)
{
    static const char many[] = "\x0a\x0avalue_ints\x42\x11" "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1";

    NODE("Constant", "c", NULL) {
        omq_proto_bytes(&graph, 5, "\x0a\x0b" "value_float" "\x15\x00\x00\xc0\x40", 18);
        omq_proto_bytes(&graph, 5, many, sizeof(many) - 1);
    }
    NODE("Concat", "a", "c", "c") { omq_onnx_int(&x, "axis", 0); }
}
static void bad_dims(void) { OMQ_ONNX_NODE(&x, "Conv", "a", "image", "w5"); }
static void bad_window(void) { OMQ_ONNX_NODE(&x, "Conv", "a", "image", "w13"); }
static void bad_weights(void) { OMQ_ONNX_NODE(&x, "Conv", "a", "image", "image"); }
static void bad_bias(void) { OMQ_ONNX_NODE(&x, "Conv", "a", "image", "w", "three"); }
static void bad_op(void) { OMQ_ONNX_NODE(&x, "LeakyRelu", "a", "image"); }
static void bad_clip(void) { OMQ_ONNX_NODE(&x, "Clip", "a", "image", "six"); }
static void bad_softmax(void) { OMQ_ONNX_NODE(&x, "Softmax", "a", "image"); }
static void bad_axis(void)
{
    NODE("Concat", "a", "image", "image") { omq_onnx_int(&x, "axis", 2); }
}
static void bad_add(void) { OMQ_ONNX_NODE(&x, "Add", "a", "image", "three"); }
static void bad_reshape(void) { OMQ_ONNX_NODE(&x, "Reshape", "a", "image", "shape"); }
static void bad_gemm(void) { OMQ_ONNX_NODE(&x, "Gemm", "a", "image", "matrix"); }
static void bad_pool(void)
{
    NODE("MaxPool", "a", "image") {
        ints("kernel_shape", 3, 3);
        ints("strides", 2, 2);
        omq_onnx_int(&x, "ceil_mode", 1);
    }
}
static void bad_pool_auto(void)
{
    NODE("MaxPool", "a", "image") {
        ints("kernel_shape", 2, 2);
        omq_onnx_text(&x, "auto_pad", "SAME_LOWER");
    }
}
static void bad_ceil(void) /* with the pad before it the output is larger */
{
    OMQ_ONNX_NODE(&x, "Pad", "z", "image", "pads");
    NODE("AveragePool", "a", "z") {
        ints("kernel_shape", 2, 2);
        ints("strides", 6, 6);
        omq_onnx_int(&x, "ceil_mode", 1);
    }
}
static void bad_average(void)
{
    NODE("AveragePool", "a", "image") { ints("kernel_shape", 3, 3); ints("pads", 1, 1, 1, 1); }
}
static void bad_mean(void)
{
    NODE("ReduceMean", "a", "image") { ints("axes", 1); }
}
static void bad_pad(void)
{
    NODE("Pad", "a", "image", "pads") { omq_onnx_text(&x, "mode", "reflect"); }
}
static void bad_pad_axes(void) /* which may be in another order */
{
    OMQ_ONNX_NODE(&x, "Pad", "a", "image", "pads", "", "shape");
}
static void bad_slice(void)
{
    OMQ_ONNX_NODE(&x, "Slice", "a", "image", "one", "six64", "one", "one");
}
static void bad_domain(void)
{
    omq_proto_end(&graph, omq_onnx_begin(&x, "Conv", "com.acme", "a",
                                         (const char *const[]){"image", "w", NULL}));
}
static void bad_missing(void) { OMQ_ONNX_NODE(&x, "Relu", "a", "nowhere"); }
static void bad_unnamed(void) /* which only a second output needs */
{
    NODE("Relu", "", "image") { omq_proto_text(&graph, 2, "a"); }
}
static void bad_cycle(void) { OMQ_ONNX_NODE(&x, "Add", "a", "image", "a"); }
static void bad_later(void)
{
    OMQ_ONNX_NODE(&x, "Relu", "a", "later");
    OMQ_ONNX_NODE(&x, "Relu", "later", "image");
}
static void bad_twice(void)
{
    OMQ_ONNX_NODE(&x, "Relu", "a", "image");
    OMQ_ONNX_NODE(&x, "Relu", "a", "image");
}
static void bad_constant(void) { FLOATS("w", 4, 3, 1, 1); OMQ_ONNX_NODE(&x, "Relu", "a", "w"); }
static void bad_large(void)
{
    NODE("Pad", "z", "image", "wide") {}
    OMQ_ONNX_NODE(&x, "Conv", "a", "z", "w");
}

static const struct {
    void (*nodes)(void);
    const char *text;
} refused[] = {
    {bad_dilation, "'m.onnx': node 'a': Conv with dilations 2 is not supported"},
    {bad_pads, "node 'a': Conv has strides or pads that are not the same on all sides"},
    {bad_strides, "node 'a': Conv has strides or pads"},
    {bad_auto, "node 'a': Conv pads automatically"},
    {bad_group, "node 'a': Conv of 2 groups reads 3 channels, but its weights are for 3"},
    {bad_numbers, "node 'c': Constant has too many numbers"},
    {bad_dims, "node 'a': Conv has weights of 5 dimensions"},
    {bad_window, "node 'a': Conv has a window of 1 x 3"},
    {bad_weights, "node 'a': Conv reads as its input 1 what is no constant of floats"},
    {bad_bias, "node 'a': Conv has a bias of another size than 4"},
    {bad_op, "node 'a': LeakyRelu is not supported"},
    {bad_clip, "node 'a': Clip is read from 0 to a number above"},
    {bad_softmax, "node 'a': Softmax is read at the end"},
    {bad_axis, "node 'a': Concat joins dimension 2"},
    {bad_add, "node 'a': Add reads as its input 1 what is not computed from the images"},
    {bad_reshape, "node 'a': Reshape is read to [N, -1] only"},
    {bad_gemm, "node 'a': Gemm is no linear layer over what was flattened"},
    {bad_pool, "node 'a': MaxPool has a window, strides or pads"},
    {bad_pool_auto, "node 'a': MaxPool pads automatically"},
    {bad_ceil, "node 'a': AveragePool has a window, strides or pads"},
    {bad_average, "node 'a': AveragePool leaves its pads out"},
    {bad_mean, "node 'a': ReduceMean is read over rows and columns"},
    {bad_pad, "node 'a': Pad is read of images, with zeros, only"},
    {bad_pad_axes, "node 'a': Pad is read of images, with zeros, only"},
    {bad_slice, "node 'a': Slice is read as x[:, :, ::2, ::2] only"},
    {bad_domain, "node 'a': Conv is of a domain of its own"},
    {bad_missing, "node 'a': Relu reads 'nowhere', which nothing before it makes"},
    {bad_unnamed, "node '0': Relu does not make its first output"},
    {bad_cycle, "node 'a': Add reads 'a', which nothing before it makes"},
    {bad_later, "node 'a': Relu reads 'later', which nothing before it makes"},
    {bad_twice, "'a' is made twice"},
    {bad_constant, "'w' is made twice"},
    {bad_large, "node 'a'"},
};

START_TEST(refusals)
{
    FLOATS("w", 4, 3, 1, 1);
    FLOATS("w5", 4, 3, 1, 1, 1);
    FLOATS("w13", 4, 3, 1, 3);
    FLOATS("three", 3);
    FLOATS("matrix", 3, 3);
    INTS64("shape", 1, 3, 64);
    INTS64("pads", 0, 0, 1, 1, 0, 0, 1, 1);
    INTS64("wide", 0, 0, 4096, 4096, 0, 0, 4096, 4096);
    INTS64("one", 1);
    INTS64("six64", 6);
    omq_onnx_scalar_float(&x, "six", 6);
    refused[_i].nodes();
    head_nodes("a", 4);
    refuse_graph(refused[_i].text);
}
END_TEST

START_TEST(opsets)
{
    FLOATS("c.weight", 4, 3, 1, 1);
    conv_node("a", "image", "c.weight", NULL, 1, 1, 0);
    head_nodes("a", 4);
    ck_assert_int_eq(parse_opset(6), OMQ_EUNSUP);
    ck_assert_int_eq(parse_opset(99), OMQ_EUNSUP);
    ck_assert_ptr_nonnull(strstr(err.msg, "'m.onnx' has opset 99; 7 to 25 are read"));
    for (int opset = 7; opset <= 25; opset++)
        ck_assert_int_eq(parse_opset(opset), OMQ_OK);
}
END_TEST

/* ---- files that mean harm ---- */

static void plain_graph(void)
{
    FLOATS("c.weight", 4, 3, 1, 1);
    conv_node("a", "image", "c.weight", NULL, 1, 1, 0);
    norm_node("b", "a", "n", 4);
    OMQ_ONNX_NODE(&x, "Relu", "r", "b");
    head_nodes("r", 4);
}

/* Cut anywhere, and with any byte changed, it is read or refused with a sentence. */
START_TEST(damage)
{
    uint8_t *bytes;
    size_t n;
    int refused_ones = 0;

    plain_graph();
    bytes = model_bytes(13, &n);
    ck_assert_int_eq(parse_bytes(bytes, n), OMQ_OK);
    for (size_t i = 0; i < n; i++) {
        int rc = parse_bytes(bytes, i);

        ck_assert(rc < 0 && err.code == rc && err.msg[0]);
    }
    for (size_t i = 0; i < n; i++) {
        const uint8_t was = bytes[i];

        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (uint8_t)(was ^ 1 << bit);
            refused_ones += parse_bytes(bytes, n) < 0;
            ck_assert(err.code == 0 || err.msg[0]);
        }
        bytes[i] = was;
    }
    ck_assert_int_gt(refused_ones, 100);
    free(bytes);
}
END_TEST

/* A node whose attribute is a graph, whose node has one, 10,000 deep. */
START_TEST(nested)
{
    struct omq_proto inner = {0};

    for (int i = 0; i < 10000; i++) {
        struct omq_proto outer = {0};
        size_t node = omq_proto_begin(&outer, 1), attribute;

        omq_proto_text(&outer, 4, "If");
        attribute = omq_proto_begin(&outer, 5);
        omq_proto_text(&outer, 1, "then_branch");
        omq_proto_bytes(&outer, 6, inner.bytes, inner.n);
        omq_proto_end(&outer, attribute);
        omq_proto_end(&outer, node);
        omq_proto_release(&inner);
        inner = outer;
    }
    omq_proto_bytes(&graph, 1, inner.bytes + 4, inner.n - 4); /* not quite a node any more */
    NODE("If", "a", "image") { omq_proto_bytes(&graph, 5, inner.bytes, inner.n); }
    head_nodes("a", 4);
    ck_assert_int_lt(parse_opset(13), 0);
    start_graph();
    NODE("If", "a", "image") {
        size_t attribute = omq_proto_begin(&graph, 5);

        omq_proto_text(&graph, 1, "then_branch");
        omq_proto_bytes(&graph, 6, inner.bytes, inner.n);
        omq_proto_end(&graph, attribute);
    }
    head_nodes("a", 4);
    refuse_graph("node 'a': If is not supported");
    omq_proto_release(&inner);
}
END_TEST

/* A tensor of any shape, type and values; the field is that of its list. */
static void put_tensor(const char *name, int elem, uint64_t dim, int field, const void *values,
                       size_t n)
{
    size_t tensor = omq_proto_begin(&graph, 5);

    omq_proto_int(&graph, 1, (int64_t)dim);
    omq_proto_int(&graph, 1, 2);
    omq_proto_int(&graph, 2, elem);
    omq_proto_text(&graph, 8, name);
    omq_proto_bytes(&graph, field, values, n);
    omq_proto_end(&graph, tensor);
}

START_TEST(tensors)
{
    static const uint8_t values[16] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40};

    plain_graph();
    put_tensor("raw", OMQ_ONNX_FLOAT, 1, 9, values, 8);
    put_tensor("list", OMQ_ONNX_FLOAT, 1, 4, values, 8);
    put_tensor("double", OMQ_ONNX_DOUBLE, 1, 10, values, 16);
    put_tensor("ints", OMQ_ONNX_S64, 2, 7, "\x01\x02\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
               13);
    put_tensor("unknown", 2, 1, 9, values, 1);
    accept_graph();
    put_tensor("huge", OMQ_ONNX_FLOAT, UINT64_C(1) << 63, 9, values, 8);
    refuse_graph("larger than memory");
    start_graph();
    put_tensor("short", OMQ_ONNX_FLOAT, 2, 9, values, 8);
    refuse_graph("tensor 'short' has 2 values where its shape has 4");
    start_graph();
    put_tensor("odd", OMQ_ONNX_FLOAT, 1, 9, values, 7);
    refuse_graph("tensor 'odd'");
    start_graph();
    put_tensor("far", OMQ_ONNX_FLOAT, 1, 13, values, 0);
    refuse_graph("the values of a tensor are in another file");
}
END_TEST

/* Weights of a type that nothing reads, of a shape that promises the moon. */
START_TEST(promises)
{
    size_t tensor = omq_proto_begin(&graph, 5);

    for (int i = 0; i < 4; i++)
        omq_proto_int(&graph, 1, i == 1 ? 3 : i ? 1 : 1 << 20);
    omq_proto_int(&graph, 2, 2);
    omq_proto_text(&graph, 8, "c.weight");
    omq_proto_end(&graph, tensor);
    conv_node("a", "image", "c.weight", NULL, 1, 1, 0);
    head_nodes("a", 4);
    refuse_graph("node 'a': Conv reads as its input 1 what is no constant of floats");
}
END_TEST

START_TEST(too_many)
{
    for (int i = 0; i <= OMQ_ONNX_MAX_NODES; i++)
        OMQ_ONNX_NODE(&x, "Relu", "a", "image");
    head_nodes("a", 4);
    refuse_graph("16384, 262144 and 65536 are possible");
    start_graph();
    for (int i = 0; i < 6000; i++) {
        char from[16], to[16];

        snprintf(from, sizeof(from), i ? "v%d" : "image", i);
        snprintf(to, sizeof(to), "v%d", i + 1);
        OMQ_ONNX_NODE(&x, "Relu", to, from);
    }
    head_nodes("v6000", 3);
    refuse_graph("more than 4096 operators");
}
END_TEST

/* One constant in a thousand layers: 9 MB in a file of 40 kB. */
START_TEST(used_often)
{
    FLOATS("c.weight", 16, 16, 3, 3);
    FLOATS("first.weight", 16, 3, 1, 1);
    conv_node("v0", "image", "first.weight", NULL, 1, 1, 0);
    for (int i = 0; i < 1000; i++) {
        char from[16], to[16];

        snprintf(from, sizeof(from), "v%d", i);
        snprintf(to, sizeof(to), "v%d", i + 1);
        conv_node(to, from, "c.weight", NULL, 3, 1, 1);
    }
    head_nodes("v1000", 16);
    refuse_graph("have far more weights than it holds: are some used in many layers?");
}
END_TEST

/* A constant of a long message that two thousand nodes read: each would take 5 ms. */
START_TEST(read_often)
{
    size_t tensor = omq_proto_begin(&graph, 5);
    char from[16] = "shape", to[16];
    clock_t start;

    omq_proto_int(&graph, 1, 2);
    omq_proto_int(&graph, 2, OMQ_ONNX_S64);
    omq_proto_text(&graph, 8, "zeros");
    omq_proto_bytes(&graph, 7, "\0\0", 2);
    for (int i = 0; i < 1 << 19; i++)
        omq_proto_int(&graph, 15, 0); /* a field that there is not */
    omq_proto_end(&graph, tensor);
    INTS64("shape", 0, -1);
    for (int i = 0; i < 2000; i++) {
        snprintf(to, sizeof(to), "v%d", i);
        OMQ_ONNX_NODE(&x, "Add", to, from, "zeros");
        snprintf(from, sizeof(from), "%s", to);
    }
    FLOATS("fc.weight", CLASSES, CHANNELS * SIDE * SIDE);
    OMQ_ONNX_NODE(&x, "Reshape", "flat", "image", to);
    NODE("Gemm", "logits", "flat", "fc.weight") { omq_onnx_int(&x, "transB", 1); }
    start = clock();
    accept_graph();
    ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 5);
}
END_TEST

START_TEST(ends)
{
    start_graph();
    refuse_graph("no node makes the output");
    plain_graph();
    omq_onnx_value(&x, ONNX_GRAPH_INPUT, "other", OMQ_ONNX_FLOAT, (int[]){0, 3, 8, 8}, 4);
    refuse_graph("has more than one input");
    start_graph();
    omq_onnx_value(&x, ONNX_GRAPH_OUTPUT, "more", OMQ_ONNX_FLOAT, (int[]){0, 3}, 2);
    plain_graph();
    refuse_graph("2 outputs");
    omq_proto_release(&graph);
    omq_onnx_value(&x, ONNX_GRAPH_INPUT, "image", OMQ_ONNX_FLOAT, (int[]){0, 1, 8, 8}, 4);
    omq_onnx_value(&x, ONNX_GRAPH_OUTPUT, "logits", OMQ_ONNX_FLOAT, (int[]){0, 3}, 2);
    plain_graph();
    refuse_graph("takes images of 1 channels, but those of the data have 3");
    omq_proto_release(&graph);
    omq_onnx_value(&x, ONNX_GRAPH_INPUT, "image", OMQ_ONNX_U8, (int[]){0, 3, 8, 8}, 4);
    omq_onnx_value(&x, ONNX_GRAPH_OUTPUT, "logits", OMQ_ONNX_FLOAT, (int[]){0, 3}, 2);
    plain_graph();
    refuse_graph("is not of type float");
    omq_proto_release(&graph);
    refuse_graph("it holds no graph");
}
END_TEST

START_TEST(memory)
{
    uint8_t *bytes;
    size_t n;
    int rc = OMQ_ENOMEM;

    plain_graph();
    bytes = model_bytes(13, &n);
    for (long nth = 1; rc < 0; nth++) {
        const struct omq_onnx_want want = {SIDE, SIDE, CHANNELS, CLASSES, &init};
        uint8_t *copy = malloc(n);

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, bytes, n);
        failalloc_set(nth);
        rc = omq_onnx_net_parse(&net, "m.onnx", copy, n, &want, &err);
        failalloc_set(0);
        ck_assert_msg(rc == OMQ_OK || (rc == OMQ_ENOMEM && err.msg[0]), "%d %s", rc, err.msg);
        ck_assert_int_lt(nth, 1000);
    }
    free(bytes);
}
END_TEST

Suite *omq_suite_onnx_refuse(void)
{
    Suite *s = suite_create("onnx_refuse");
    TCase *c = tcase_create("onnx_refuse");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, refusals, 0, (int)(sizeof(refused) / sizeof(refused[0])));
    tcase_add_test(c, opsets);
    tcase_add_test(c, damage);
    tcase_add_test(c, nested);
    tcase_add_test(c, tensors);
    tcase_add_test(c, promises);
    tcase_add_test(c, too_many);
    tcase_add_test(c, used_often);
    tcase_add_test(c, read_often);
    tcase_add_test(c, ends);
    tcase_add_test(c, memory);
    suite_add_tcase(s, c);
    return s;
}
