#!/bin/sh
# tf2onnx 1.17.0: the shape of a reshaped tensor becomes the shape of the tensor before.
#
# Guess: a converted graph computes what the original does, or the conversion fails.
# Seen: the conversion succeeds. Where a tensor is reshaped twice, and its shape is read in between,
# an optimizer joins the two and reads the other shape. Here the graph fails when it runs; where the
# shape is broadcast to, it gives other numbers without an error.
. "$(dirname "$0")/common.sh"

install tf2onnx==1.17.0 onnx==1.23.2 onnxruntime==1.32.0 tensorflow==2.21.0 numpy==2.4.6
run <<'PYTHON'
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx


@tf.function(autograph=False)
def split_heads(x):
    batch, length, _ = tf.unstack(tf.shape(x))
    rows = tf.tanh(tf.reshape(x, [-1, 8]))
    whole = tf.reshape(rows, [batch, length, 8])
    shape = tf.shape(whole)
    return tf.reshape(whole, [shape[0], shape[1], 2, 4])


signature = [tf.TensorSpec([None, None, 8], tf.float32, name="x")]
model, _ = tf2onnx.convert.from_function(split_heads, signature, opset=18)
x = np.ones((2, 3, 8), "float32")
print("TensorFlow:  ", split_heads(x).shape)
onnxruntime.set_default_logger_severity(4)
session = onnxruntime.InferenceSession(model.SerializeToString())
try:
    print("ONNX Runtime:", session.run(None, {"x": x})[0].shape)
except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
    print("ONNX Runtime:", str(error).split("Input shape:")[1].strip())
PYTHON
seen <<'OUTPUT'
TensorFlow:   (2, 3, 2, 4)
ONNX Runtime: {6,8}, requested shape:{6,8,2,4}
OUTPUT
