/* SPDX-License-Identifier: MIT
 *
 * ONNX files that come in: what becomes of each operator, names, and weights; refusals
 * are in test_onnx_refuse.c. That networks of PyTorch compute the same is checked by
 * scripts/check-onnx-read.py.
 */
#include <math.h>

#include "arrayhelp.h"
#include "onnxhelp.h"
#include "port/weights.h"

Suite *omq_suite_onnx_read(void);

/* A block with a shortcut, whose convolution comes last in the file. */
START_TEST(residual)
{
    struct omq_weights_result r;
    struct omq_preprocess pre = {.height = SIDE, .width = SIDE, .channels = CHANNELS, .step = 1};
    struct omq_quant_config quant = {.levels = 1, .first_last_bits = 8};
    struct omq_net made;

    FLOATS("conv1.weight", 4, 3, 3, 3);
    FLOATS("layer.0.conv1.weight", 6, 4, 3, 3);
    FLOATS("layer.0.downsample.0.weight", 6, 4, 1, 1);
    FLOATS("onnx::Conv_42", 6);
    conv_node("a", "image", "conv1.weight", NULL, 3, 1, 1);
    norm_node("b", "a", "bn1", 4);
    OMQ_ONNX_NODE(&x, "Relu", "c", "b");
    conv_node("d", "c", "layer.0.conv1.weight", NULL, 3, 2, 1);
    norm_node("e", "d", "layer.0.bn1", 6);
    conv_node("f", "c", "layer.0.downsample.0.weight", "onnx::Conv_42", 1, 2, 0);
    OMQ_ONNX_NODE(&x, "Add", "g", "e", "f");
    OMQ_ONNX_NODE(&x, "Relu", "h", "g");
    head_nodes("h", 6);
    accept_graph();
    graph_is("conv conv1 < input\n"
             "batchnorm bn1 < conv1\n"
             "relu relu_2 < bn1\n"
             "conv layer.0.downsample.0 < relu_2\n"
             "batchnorm layer.0.downsample.0.norm < layer.0.downsample.0\n"
             "conv layer.0.conv1 < relu_2\n"
             "batchnorm layer.0.bn1 < layer.0.conv1\n"
             "add add_6 < layer.0.bn1 layer.0.downsample.0.norm\n"
             "relu relu_7 < add_6\n"
             "globalpool globalaveragepool_8 < relu_7\n"
             "flatten flatten_9 < globalaveragepool_8\n"
             "linear fc < flatten_9\n");
    ck_assert_int_eq(net.n_added, 1);
    ck_assert_str_eq(net.added[0], "layer.0.downsample.0.norm");
    ck_assert_int_eq(omq_net_init(&made, &net.graph, (struct omq_precision[]){{4, 4}}, 1, &quant,
                                  &pre, 1, false, &err), OMQ_OK);
    ck_assert_msg(omq_weights_load(&made, &net.weights, &init, "", &r, &err) == OMQ_OK, "%s\n%s",
                  err.msg, r.text);
    ck_assert_int_eq(r.missing + r.unexpected + r.misshapen, 0);
    omq_weights_result_release(&r);
    omq_net_release(&made);
}
END_TEST

static float first_of(const char *name)
{
    const struct omq_source_array *a = find_array(&net.weights, name);
    float values[1 << 10];

    ck_assert_msg(a && a->n <= 1 << 10, "no '%s'", name);
    ck_assert_int_eq(omq_source_read(&net.weights, a, values, &err), OMQ_OK);
    return values[a->n > 1 ? 1 : 0];
}

/* A bias without a norm goes to one that does nothing else. */
START_TEST(added_norms)
{
    FLOATS("c.weight", 4, 3, 1, 1);
    FLOATS("c.bias", 4);
    conv_node("a", "image", "c.weight", "c.bias", 1, 1, 0);
    OMQ_ONNX_NODE(&x, "Relu", "b", "a");
    head_nodes("b", 4);
    accept_graph();
    ck_assert(first_of("c.norm.bias") == (float)(1 + (7 + 6) % 13) / 16);
    ck_assert(first_of("c.norm.weight") == 1 && first_of("c.norm.running_mean") == 0);
    ck_assert(first_of("c.norm.running_var") == (float)(1 - OMQ_BN_EPS));
    ck_assert_ptr_null(find_array(&net.weights, "c.bias"));
    ck_assert_ptr_nonnull(find_array(&net.weights, "fc.bias"));
    ck_assert(!net.graph.nodes[1].bias && net.graph.nodes[net.graph.n_nodes - 1].bias);
}
END_TEST

/* A norm with another eps. */
START_TEST(other_eps)
{
    float gamma;

    FLOATS("c.weight", 4, 3, 1, 1);
    FLOATS("n.weight", 4);
    FLOATS("n.bias", 4);
    FLOATS("n.mean", 4);
    FLOATS("n.variance", 4);
    conv_node("a", "image", "c.weight", NULL, 1, 1, 0);
    NODE("BatchNormalization", "b", "a", "n.weight", "n.bias", "n.mean", "n.variance") {
        omq_proto_bytes(&graph, 5, "\x0a\x07" "epsilon" "\x15\x00\x00\x00\x3f", 14); /* 0.5 */
    }
    head_nodes("b", 4);
    accept_graph();
    gamma = (float)(1 + (7 + 8) % 13) / 16;
    ck_assert_float_eq_tol(first_of("n.weight"),
                           gamma * sqrtf((first_of("n.running_var") + 1e-5f) /
                                         (first_of("n.running_var") + 0.5f)), 1e-6f);
}
END_TEST

/* The weights of an accepted graph are those of the network that it makes. */
static void weights_fit(void)
{
    struct omq_preprocess pre = {.height = SIDE, .width = SIDE, .channels = CHANNELS, .step = 1};
    struct omq_quant_config quant = {.levels = 1, .first_last_bits = 8};
    const struct omq_precision eight = {8, 8};
    struct omq_weights_result r;
    struct omq_net made;
    int rc = omq_net_init(&made, &net.graph, &eight, 1, &quant, &pre, 1, false, &err);

    net.graph = (struct omq_graph){0};
    ck_assert_msg(rc == OMQ_OK, "%s", err.msg);
    ck_assert_msg(omq_weights_load(&made, &net.weights, &init, "", &r, &err) == OMQ_OK, "%s\n%s",
                  err.msg, r.text);
    omq_weights_result_release(&r);
    omq_net_release(&made);
}

/* What changes nothing, other spellings, and a concatenation. */
START_TEST(spellings)
{
    FLOATS("c.weight", 4, 3, 3, 3);
    FLOATS("m.matrix", 4 * 4 * 8, 5);
    FLOATS("m.add", CLASSES);
    INTS64("pads", 0, 0, 1, 1, 0, 0, 1, 1);
    INTS64("zero", 0);
    INTS64("minus", -1);
    omq_onnx_scalar_float(&x, "low", 0);
    omq_onnx_scalar_float(&x, "high", 6);
    OMQ_ONNX_NODE(&x, "Pad", "padded", "image", "pads");
    conv_node("a", "padded", "c.weight", NULL, 3, 1, 0);
    OMQ_ONNX_NODE(&x, "Identity", "a2", "a");
    OMQ_ONNX_NODE(&x, "Clip", "b", "a2", "low", "high");
    NODE("MaxPool", "p", "b") {
        ints("kernel_shape", 2, 2);
        ints("strides", 2, 2);
        omq_onnx_text(&x, "auto_pad", "VALID"); /* none */
    }
    NODE("Concat", "cat", "p", "p") { omq_onnx_int(&x, "axis", 1); }
    OMQ_ONNX_NODE(&x, "Dropout", "dropped", "cat");
    OMQ_ONNX_NODE(&x, "Shape", "shape", "dropped");
    OMQ_ONNX_NODE(&x, "Gather", "n", "shape", "zero");
    OMQ_ONNX_NODE(&x, "Unsqueeze", "n1", "n", "zero");
    NODE("Concat", "to", "n1", "minus") { omq_onnx_int(&x, "axis", 0); }
    OMQ_ONNX_NODE(&x, "Reshape", "flat", "dropped", "to");
    OMQ_ONNX_NODE(&x, "MatMul", "product", "flat", "m.matrix");
    OMQ_ONNX_NODE(&x, "Add", "sum", "product", "m.add");
    OMQ_ONNX_NODE(&x, "Softmax", "logits", "sum");
    accept_graph();
    graph_is("conv c < input\n"
             "batchnorm c.norm < c\n"
             "relu clip_3 < c.norm\n"
             "maxpool maxpool_4 < clip_3\n"
             "concat concat_5 < maxpool_4 maxpool_4\n"
             "flatten reshape_11 < concat_5\n"
             "linear matmul_12 < reshape_11\n");
    ck_assert_int_eq(net.graph.nodes[1].pad, 1);
    ck_assert(net.graph.nodes[3].max == 6);
    ck_assert(net.graph.nodes[7].bias);
    /* row 1 of the transposed matrix is its column 1 */
    ck_assert(first_of("matmul_12.weight") == (float)(1 + (7 * 5 + 8) % 13) / 16);
}
END_TEST

/* As newer exporters write them: parts of shapes, numbers without a tensor, a bias that is
 * a row. */
START_TEST(newer_spellings)
{
    FLOATS("c.weight", 4, 3, 3, 3);
    FLOATS("h.matrix", 4 * SIDE * SIDE, 6);
    FLOATS("h.add", 1, 6);
    FLOATS("fc.weight", CLASSES, 6);
    FLOATS("fc.bias", 1, CLASSES);
    INTS64("minus", -1);
    INTS64("one", 1);
    omq_onnx_scalar_float(&x, "low", 0);
    conv_node("a", "image", "c.weight", NULL, 3, 1, 1);
    NODE("Constant", "high", NULL) {
        omq_proto_bytes(&graph, 5, "\x0a\x0b" "value_float" "\x15\x00\x00\xc0\x40", 18); /* 6 */
    }
    OMQ_ONNX_NODE(&x, "Clip", "b", "a", "low", "high");
    NODE("Shape", "n", "b") {
        omq_onnx_int(&x, "start", -9);
        omq_onnx_int(&x, "end", 1);
    }
    OMQ_ONNX_NODE(&x, "Reshape", "n1", "n", "one");
    NODE("Concat", "to", "n1", "minus") { omq_onnx_int(&x, "axis", 0); }
    OMQ_ONNX_NODE(&x, "Reshape", "flat", "b", "to");
    OMQ_ONNX_NODE(&x, "MatMul", "product", "flat", "h.matrix");
    OMQ_ONNX_NODE(&x, "Add", "sum", "product", "h.add");
    OMQ_ONNX_NODE(&x, "Relu", "c", "sum");
    NODE("Gemm", "logits", "c", "fc.weight", "fc.bias") { omq_onnx_int(&x, "transB", 1); }
    accept_graph();
    graph_is("conv c < input\n"
             "batchnorm c.norm < c\n"
             "relu clip_2 < c.norm\n"
             "flatten reshape_6 < clip_2\n"
             "linear matmul_7 < reshape_6\n"
             "batchnorm matmul_7.norm < matmul_7\n"
             "relu relu_9 < matmul_7.norm\n"
             "linear fc < relu_9\n");
    ck_assert(net.graph.nodes[3].max == 6);
    weights_fit();
}
END_TEST

/* Of a part that is not the number of images the network would be another. */
START_TEST(another_part_of_a_shape)
{
    FLOATS("c.weight", 4, 3, 3, 3);
    INTS64("zero", 0);
    INTS64("minus", -1);
    conv_node("a", "image", "c.weight", NULL, 3, 1, 1);
    NODE("Shape", "hw", "a") { omq_onnx_int(&x, "start", 2); }
    OMQ_ONNX_NODE(&x, "Gather", "h", "hw", "zero");
    NODE("Concat", "to", "h", "minus") { omq_onnx_int(&x, "axis", 0); }
    OMQ_ONNX_NODE(&x, "Reshape", "logits", "a", "to");
    refuse_graph("Reshape is read to [N, -1] only");
}
END_TEST

/* The shortcut without weights of ResNets for CIFAR. */
START_TEST(shortcut)
{
    FLOATS("c.weight", 4, 3, 3, 3);
    FLOATS("d.weight", 8, 4, 3, 3);
    INTS64("zero", 0);
    INTS64("far", INT64_MAX);
    INTS64("two", 2);
    INTS64("three", 3);
    INTS64("pads", 0, 2, 0, 0, 0, 2, 0, 0);
    conv_node("a", "image", "c.weight", NULL, 3, 1, 1);
    OMQ_ONNX_NODE(&x, "Relu", "b", "a");
    conv_node("e", "b", "d.weight", NULL, 3, 2, 1);
    OMQ_ONNX_NODE(&x, "Slice", "s", "b", "zero", "far", "two", "two");
    OMQ_ONNX_NODE(&x, "Slice", "t", "s", "zero", "far", "three", "two");
    OMQ_ONNX_NODE(&x, "Pad", "u", "t", "pads");
    OMQ_ONNX_NODE(&x, "Add", "v", "e", "u");
    head_nodes("v", 8);
    accept_graph();
    graph_is("conv c < input\n"
             "batchnorm c.norm < c\n"
             "relu relu_1 < c.norm\n"
             "conv d < relu_1\n"
             "batchnorm d.norm < d\n"
             "shortcut pad_5 < relu_1\n"
             "add add_6 < d.norm pad_5\n"
             "globalpool globalaveragepool_7 < add_6\n"
             "flatten flatten_8 < globalaveragepool_7\n"
             "linear fc < flatten_8\n");
    ck_assert_int_eq(net.graph.nodes[6].stride, 2);
    ck_assert_int_eq(net.graph.nodes[6].channels, 8);
}
END_TEST

/* A shape in which something stands before the dimensions that there is not. */
START_TEST(shape_with_more)
{
    static const int dims[] = {2, CHANNELS, SIDE, SIDE};
    size_t value, type, tensor, shape;

    omq_proto_release(&graph);
    value = omq_proto_begin(&graph, 11);
    omq_proto_text(&graph, 1, "image");
    type = omq_proto_begin(&graph, 2);
    tensor = omq_proto_begin(&graph, 1);
    omq_proto_int(&graph, 1, OMQ_ONNX_FLOAT);
    shape = omq_proto_begin(&graph, 2);
    omq_proto_text(&graph, 15, "more");
    omq_proto_int(&graph, 16, 1);
    for (int i = 0; i < 4; i++) {
        size_t dim = omq_proto_begin(&graph, 1);

        omq_proto_int(&graph, 1, dims[i]);
        omq_proto_end(&graph, dim);
    }
    omq_proto_end(&graph, shape);
    omq_proto_end(&graph, tensor);
    omq_proto_end(&graph, type);
    omq_proto_end(&graph, value);
    omq_onnx_value(&x, ONNX_GRAPH_OUTPUT, "logits", OMQ_ONNX_FLOAT, (int[]){0, CLASSES}, 2);
    FLOATS("c.weight", 4, 3, 3, 3);
    conv_node("a", "image", "c.weight", NULL, 3, 1, 1);
    head_nodes("a", 4);
    accept_graph();
}
END_TEST

/* ---- names ---- */

static const struct {
    const char *node, *weight, *want;
} names[] = {
    {"/layer1/layer1.0/conv1/Conv", "onnx::Conv_1", "layer1.0.conv1"},
    {"/features/features.0/features.0.0/Conv", "onnx::Conv_1", "features.0.0"},
    {"/Conv", "onnx::Conv_1", "conv_0"},
    {"Conv_7", "onnx::Conv_1", "conv_0"},
    {"/a/b/Conv", "net.stem.weight", "net.stem"},
    {"/a/b/Conv", "a/b.weight", "a.b"},
    {"/a/b.in/Conv", "x@y.weight", "conv_0"},
    {"//Conv", "x.out.weight", "conv_0"},
};

START_TEST(node_names)
{
    size_t node;

    FLOATS(names[_i].weight, 4, 3, 1, 1);
    node = omq_proto_begin(&graph, 1);
    omq_proto_text(&graph, 1, "image");
    omq_proto_text(&graph, 1, names[_i].weight);
    omq_proto_text(&graph, 2, "a");
    omq_proto_text(&graph, 3, names[_i].node);
    omq_proto_text(&graph, 4, "Conv");
    omq_proto_end(&graph, node);
    head_nodes("a", 4);
    accept_graph();
    ck_assert_str_eq(net.graph.nodes[1].name, names[_i].want);
}
END_TEST

/* Two layers that share their weights are two. */
START_TEST(shared_weights)
{
    FLOATS("c.weight", 3, 3, 1, 1);
    conv_node("a", "image", "c.weight", NULL, 1, 1, 0);
    conv_node("b", "a", "c.weight", NULL, 1, 1, 0);
    head_nodes("b", 3);
    accept_graph();
    ck_assert_str_eq(net.graph.nodes[1].name, "c");
    ck_assert_str_eq(net.graph.nodes[3].name, "c_3");
    ck_assert_ptr_nonnull(find_array(&net.weights, "c_3.weight"));
}
END_TEST

/* What a name is made unique by may be taken, too. */
START_TEST(taken_names)
{
    FLOATS("c_5.weight", 3, 3, 1, 1);
    FLOATS("c.weight", 3, 3, 1, 1);
    conv_node("a", "image", "c_5.weight", NULL, 1, 1, 0);
    conv_node("b", "a", "c.weight", NULL, 1, 1, 0);
    conv_node("d", "b", "c.weight", NULL, 1, 1, 0);
    head_nodes("d", 3);
    accept_graph();
    ck_assert_str_eq(net.graph.nodes[5].name, "c_6");
}
END_TEST

/* ---- heads ---- */

START_TEST(heads)
{
    FLOATS("c.weight", 4, 3, 1, 1);
    FLOATS("fc.weight", 7, 4);
    conv_node("a", "image", "c.weight", NULL, 1, 1, 0);
    OMQ_ONNX_NODE(&x, "GlobalAveragePool", "pooled", "a");
    OMQ_ONNX_NODE(&x, "Flatten", "flat", "pooled");
    NODE("Gemm", "logits", "flat", "fc.weight") { omq_onnx_int(&x, "transB", 1); }
    refuse_graph("makes 7 outputs, but there are 5 classes; --skip 'fc' begins with a new last");
    snprintf(init.skip[init.n_skip++], sizeof(init.skip[0]), "fc");
    accept_graph();
    ck_assert_int_eq(net.graph.nodes[net.graph.n_nodes - 1].channels, 5);
    ck_assert_ptr_null(find_array(&net.weights, "fc.weight"));
}
END_TEST

/* A layer inside that is called as heads are is not the last one by another name. */
START_TEST(inner_head_word)
{
    FLOATS("c.weight", 4, 3, 1, 1);
    FLOATS("fc.weight", 6, 4);
    FLOATS("head.weight", 7, 6);
    conv_node("a", "image", "c.weight", NULL, 1, 1, 0);
    OMQ_ONNX_NODE(&x, "GlobalAveragePool", "pooled", "a");
    OMQ_ONNX_NODE(&x, "Flatten", "flat", "pooled");
    NODE("Gemm", "b", "flat", "fc.weight") { omq_onnx_int(&x, "transB", 1); }
    OMQ_ONNX_NODE(&x, "Relu", "c", "b");
    NODE("Gemm", "logits", "c", "head.weight") { omq_onnx_int(&x, "transB", 1); }
    snprintf(init.skip[init.n_skip++], sizeof(init.skip[0]), "head");
    accept_graph();
    weights_fit();
}
END_TEST

#define LOOP(c, test, table) \
    tcase_add_loop_test(c, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

Suite *omq_suite_onnx_read(void)
{
    Suite *s = suite_create("onnx_read");
    TCase *c = tcase_create("onnx_read");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, residual);
    tcase_add_test(c, added_norms);
    tcase_add_test(c, other_eps);
    tcase_add_test(c, spellings);
    tcase_add_test(c, newer_spellings);
    tcase_add_test(c, another_part_of_a_shape);
    tcase_add_test(c, shortcut);
    tcase_add_test(c, shape_with_more);
    LOOP(c, node_names, names);
    tcase_add_test(c, shared_weights);
    tcase_add_test(c, taken_names);
    tcase_add_test(c, heads);
    tcase_add_test(c, inner_head_word);
    suite_add_tcase(s, c);
    return s;
}
