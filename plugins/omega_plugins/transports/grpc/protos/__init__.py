"""The public contract of the gRPC door: .proto files, and the Python code that protoc makes of them."""
