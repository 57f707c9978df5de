/* SPDX-License-Identifier: MIT
 *
 * ONNX's numbers, of those that are written or read here: fields by their message, and
 * types. From onnx/onnx.proto3, where they never change.
 */
#ifndef OMQ_PORT_ONNX_PROTO_H
#define OMQ_PORT_ONNX_PROTO_H

/* ModelProto, OperatorSetIdProto, StringStringEntryProto */
enum { ONNX_MODEL_IR_VERSION = 1, ONNX_MODEL_PRODUCER = 2, ONNX_MODEL_PRODUCER_VERSION = 3,
       ONNX_MODEL_GRAPH = 7, ONNX_MODEL_OPSET = 8, ONNX_MODEL_METADATA = 14 };
enum { ONNX_OPSET_DOMAIN = 1, ONNX_OPSET_VERSION = 2 };
enum { ONNX_ENTRY_KEY = 1, ONNX_ENTRY_VALUE = 2 };

/* GraphProto */
enum { ONNX_GRAPH_NODE = 1, ONNX_GRAPH_NAME = 2, ONNX_GRAPH_INITIALIZER = 5, ONNX_GRAPH_INPUT = 11,
       ONNX_GRAPH_OUTPUT = 12, ONNX_GRAPH_VALUE_INFO = 13, ONNX_GRAPH_SPARSE_INITIALIZER = 15 };

/* NodeProto */
enum { ONNX_NODE_INPUT = 1, ONNX_NODE_OUTPUT = 2, ONNX_NODE_NAME = 3, ONNX_NODE_OP = 4,
       ONNX_NODE_ATTRIBUTE = 5, ONNX_NODE_DOMAIN = 7 };

/* AttributeProto, and what its type can be */
enum { ONNX_ATTRIBUTE_NAME = 1, ONNX_ATTRIBUTE_F = 2, ONNX_ATTRIBUTE_I = 3, ONNX_ATTRIBUTE_S = 4,
       ONNX_ATTRIBUTE_T = 5, ONNX_ATTRIBUTE_G = 6, ONNX_ATTRIBUTE_INTS = 8,
       ONNX_ATTRIBUTE_TYPE = 20 };
enum { ONNX_ATTRIBUTE_IS_I = 2, ONNX_ATTRIBUTE_IS_S = 3, ONNX_ATTRIBUTE_IS_G = 5,
       ONNX_ATTRIBUTE_IS_INTS = 7 };

/* TensorProto, and what its data_type can be */
enum { ONNX_TENSOR_DIMS = 1, ONNX_TENSOR_DATA_TYPE = 2, ONNX_TENSOR_SEGMENT = 3,
       ONNX_TENSOR_FLOAT_DATA = 4, ONNX_TENSOR_INT32_DATA = 5, ONNX_TENSOR_INT64_DATA = 7,
       ONNX_TENSOR_NAME = 8, ONNX_TENSOR_RAW_DATA = 9, ONNX_TENSOR_DOUBLE_DATA = 10,
       ONNX_TENSOR_EXTERNAL_DATA = 13, ONNX_TENSOR_DATA_LOCATION = 14 };
enum omq_onnx_type { OMQ_ONNX_FLOAT = 1, OMQ_ONNX_U8 = 2, OMQ_ONNX_S8 = 3, OMQ_ONNX_S32 = 6,
                     OMQ_ONNX_S64 = 7, OMQ_ONNX_FLOAT16 = 10, OMQ_ONNX_DOUBLE = 11,
                     OMQ_ONNX_BFLOAT16 = 16 };

/* ValueInfoProto, and what is in its type: TypeProto, TypeProto.Tensor, TensorShapeProto,
 * TensorShapeProto.Dimension */
enum { ONNX_VALUE_NAME = 1, ONNX_VALUE_TYPE = 2 };
enum { ONNX_TYPE_TENSOR = 1 };
enum { ONNX_TYPE_TENSOR_ELEM = 1, ONNX_TYPE_TENSOR_SHAPE = 2 };
enum { ONNX_SHAPE_DIM = 1 };
enum { ONNX_DIM_VALUE = 1, ONNX_DIM_PARAM = 2 };

#endif
