"""Package omega.sync.v1: the *_pb2 files are made by `./run protos`."""
