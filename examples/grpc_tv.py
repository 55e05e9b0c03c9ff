"""A TV that knows the .proto files and docs/grpc.md, and nothing of Omega.

    python -m grpc_tools.protoc -I PROTOS --python_out=. --grpc_python_out=. PROTOS/omega_sync_v1/*.proto
    PYTHONPATH=. python grpc_tv.py shard.example:50051 ca.pem SEED CODE < pushes.jsonl

SEED is its Ed25519 key, 64 hex digits; CODE is what admits it, and `-` stands for no CA or no code. Each line that it
reads is a Push as JSON; a sample may name a `content_id`, which goes as its hash. What comes back is printed.
"""

import hashlib
import json
import sys
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.json_format import MessageToDict, ParseDict
from omega_sync_v1 import sync_pb2, sync_pb2_grpc


def enrolled(shard: sync_pb2_grpc.SyncStub, key: Ed25519PrivateKey, code: str) -> str:
    """Return a token for a day."""
    challenge = shard.GetChallenge(sync_pb2.GetChallengeRequest()).challenge
    public_key = key.public_key().public_bytes_raw()
    parts = hashlib.sha256(b"").digest() + hashlib.sha256(code.encode()).digest()
    signature = key.sign(b"omega enrolment 1\0" + challenge + public_key + parts)
    answer = sync_pb2.EnrolRequest(challenge=challenge, public_key=public_key, signature=signature)
    if code:
        answer.code = code
    return str(shard.Enrol(answer).token)


def title_hash(content_id: str) -> int:
    """Return the 40 bits that stand for a title which the shard's catalog doesn't have yet."""
    digest = hashlib.blake2b(content_id.encode(), digest_size=8, person=b"omega-title").digest()
    return int.from_bytes(digest[:5], "big")


def exchanged(shard: sync_pb2_grpc.SyncStub, told: dict, token: str) -> dict:
    """Push, and return the answer or the refusal."""
    for sample in told.get("contributed", []) + told.get("retracted", []):
        if "content_id" in sample:
            sample["title_hash"] = title_hash(sample.pop("content_id"))
    request = sync_pb2.SyncRequest(push=ParseDict(told, sync_pb2.Push()))
    try:
        answer = shard.Exchange(request, metadata=[("authorization", f"Bearer {token}")], timeout=20).answer
    except grpc.RpcError as error:
        return {"refused": error.code().name, "words": error.details(), **dict(error.trailing_metadata())}
    return MessageToDict(answer, preserving_proto_field_name=True)


def main(target: str, ca: str, seed: str, code: str) -> None:
    """Enrol, then push what is read."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    trusted = None if ca == "-" else grpc.ssl_channel_credentials(Path(ca).read_bytes())
    with grpc.secure_channel(target, trusted) if trusted else grpc.insecure_channel(target) as channel:
        shard = sync_pb2_grpc.SyncStub(channel)
        token = enrolled(shard, key, "" if code == "-" else code)
        for line in sys.stdin:
            told = json.loads(line)
            print(json.dumps(exchanged(shard, told, told.pop("token", token))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
