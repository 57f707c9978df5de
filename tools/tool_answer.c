/* SPDX-License-Identifier: MIT
 *
 * What omq-run prints: answers and speeds.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "omq_tools.h"
#include "tool.h"

/* The next most likely class: logits of those shown are taken away. */
static int take_best(float *logits, int n)
{
    int best = 0;

    for (int c = 1; c < n; c++)
        if (logits[c] > logits[best])
            best = c;
    return best;
}

static double softmax_sum(const float *logits, int n, float largest)
{
    double sum = 0;

    for (int c = 0; c < n; c++)
        sum += exp((double)logits[c] - (double)largest);
    return sum;
}

static const char *class_name(const struct omq_model *m, int c, char buf[16])
{
    const char *name = omq_model_class_name(m, c);

    snprintf(buf, 16, "%d", c);
    return *name ? name : buf;
}

static void put_json(const char *name, const char *precision, double ms)
{
    printf("{\"image\":");
    tool_json_string(stdout, name);
    printf(",\"precision\":");
    tool_json_string(stdout, precision);
    printf(",\"ms\":");
    tool_json_number(stdout, ms);
    printf(",\"classes\":[");
}

void tool_put_answer(const struct omq_model *m, const char *name, float *logits, int top,
                     const char *precision, double ms)
{
    struct omq_model_shape shape;
    char number[16];
    float largest;
    double sum;
    int n;

    omq_model_shape(m, &shape);
    n = shape.n_classes;
    largest = logits[take_best(logits, n)];
    sum = softmax_sum(logits, n, largest);

    if (tool_common.json)
        put_json(name, precision, ms);
    else
        tool_put_clean(stdout, name, "");
    for (int i = 0; i < top && i < n; i++) {
        int c = take_best(logits, n);
        double confidence = exp((double)logits[c] - (double)largest) / sum;

        if (tool_common.json) {
            printf("%s{\"class\":", i ? "," : "");
            tool_json_string(stdout, class_name(m, c, number));
            printf(",\"index\":%d,\"confidence\":", c);
            tool_json_number(stdout, confidence);
            printf("}");
        } else {
            printf("\t");
            tool_put_clean(stdout, class_name(m, c, number), "");
            printf("\t%.4f", confidence);
        }
        logits[c] = -INFINITY;
    }
    if (tool_common.json)
        printf("]}\n");
    else
        printf("\t%s\n", precision);
}

static void bench_json(const char *name, int batch, const struct omq_model_bench *b)
{
    const struct tool_number numbers[] = {
        { "ms", b->ms }, { "ms_p10", b->ms_p10 }, { "ms_p90", b->ms_p90 },
        { "images_per_s", b->images_per_s },
    };

    printf("{\"precision\":");
    tool_json_string(stdout, name);
    printf(",\"kernel\":");
    tool_json_string(stdout, b->kernel);
    printf(",\"batch\":%d,\"threads\":%d", batch, b->threads);
    tool_json_numbers(numbers, sizeof(numbers) / sizeof(numbers[0]));
    printf("}\n");
}

void tool_put_bench(const char *name, int batch, const struct omq_model_bench *b, bool is_first)
{
    if (tool_common.json) {
        bench_json(name, batch, b);
        return;
    }
    if (is_first)
        printf("batch %d, threads %d\nprecision  ms/batch      p10      p90  images/s  kernel\n",
               batch, b->threads);
    printf("%-9s %9.3f %8.3f %8.3f %9.0f  %s\n", name, b->ms, b->ms_p10, b->ms_p90,
           b->images_per_s, b->kernel);
}
