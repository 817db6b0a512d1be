"""Score and explain users with the ONNX scorer: never Spark, never a JVM.

May import: base.
"""
