"""Networks to and from other libraries. Each of these is imported when it is used.

``onnx_writer``     graphs as ONNX models; what an operation is there, it says itself (`Operation.to_onnx`)
"""
