"""The daemon: one process holds a TV's brain and serves it on a unix socket, one JSON object a line.

`protocol` turns a line into an answer and knows no socket; `connection` and `server` move the bytes; `place` owns the
lock and the socket's file; `client` speaks to it all from the other side.
"""
