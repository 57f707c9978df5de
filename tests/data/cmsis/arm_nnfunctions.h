/* SPDX-License-Identifier: MIT
 *
 * What generated C calls of CMSIS-NN, as its documentation describes it: enough to
 * compile, where CMSIS-NN is not at hand. Nothing here is from CMSIS-NN itself.
 */
#ifndef STUB_ARM_NNFUNCTIONS_H
#define STUB_ARM_NNFUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { ARM_CMSIS_NN_SUCCESS = 0, ARM_CMSIS_NN_ARG_ERROR = -1 } arm_cmsis_nn_status;

typedef struct { int32_t w, h; } cmsis_nn_tile;
typedef struct { int32_t n, h, w, c; } cmsis_nn_dims;
typedef struct { int32_t min, max; } cmsis_nn_activation;
typedef struct { void *buf; int32_t size; } cmsis_nn_context;
typedef struct { const void *data; const bool is_int32_bias; } cmsis_nn_bias_data;
typedef struct { int32_t *multiplier, *shift; } cmsis_nn_per_channel_quant_params;

typedef struct {
    int32_t input_offset, output_offset;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_conv_params;

typedef struct {
    int32_t input_offset, output_offset, ch_mult;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_dw_conv_params;

typedef struct {
    cmsis_nn_tile stride, padding;
    cmsis_nn_activation activation;
} cmsis_nn_pool_params;

/* All have the bytes of their buffer beside them. */
#define STUB_CONVOLUTION(name, params, data, biases) \
    arm_cmsis_nn_status name(const cmsis_nn_context *, const params *, \
                             const cmsis_nn_per_channel_quant_params *, const cmsis_nn_dims *, \
                             const data *, const cmsis_nn_dims *, const int8_t *, \
                             const cmsis_nn_dims *, const biases *, const cmsis_nn_dims *, \
                             data *); \
    int32_t name##_get_buffer_size(const params *, const cmsis_nn_dims *, const cmsis_nn_dims *, \
                                   const cmsis_nn_dims *)

STUB_CONVOLUTION(arm_convolve_wrapper_s8, cmsis_nn_conv_params, int8_t, int32_t);
STUB_CONVOLUTION(arm_convolve_wrapper_s4, cmsis_nn_conv_params, int8_t, int32_t);
STUB_CONVOLUTION(arm_convolve_wrapper_s16, cmsis_nn_conv_params, int16_t, cmsis_nn_bias_data);
STUB_CONVOLUTION(arm_depthwise_conv_wrapper_s8, cmsis_nn_dw_conv_params, int8_t, int32_t);

arm_cmsis_nn_status arm_max_pool_s8(const cmsis_nn_context *, const cmsis_nn_pool_params *,
                                    const cmsis_nn_dims *, const int8_t *, const cmsis_nn_dims *,
                                    const cmsis_nn_dims *, int8_t *);
arm_cmsis_nn_status arm_elementwise_add_s8(const int8_t *in_1, const int8_t *in_2, int32_t offset_1,
                                           int32_t multiplier_1, int32_t shift_1,
                                           int32_t offset_2, int32_t multiplier_2,
                                           int32_t shift_2, int32_t left_shift, int8_t *out,
                                           int32_t out_offset, int32_t out_multiplier,
                                           int32_t out_shift, int32_t min, int32_t max,
                                           int32_t block_size);

#endif
