"""The client of `workload set` for NATS JetStream. It gets one JSON line for each operation, and answers with one."""
import json, secrets, socket, sys

INBOX = "_INBOX." + secrets.token_hex(8)
nats = None


def connect(address):
    stream = socket.create_connection((address, 4222)).makefile("rwb")
    stream.readline()  # the server's greeting
    stream.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB %b 1\r\n' % INBOX.encode())
    return stream


def ask(subject, body=""):
    """Publishes, and waits for JetStream's answer; for ever, as workload kills a client that takes too long."""
    nats.write(f"PUB {subject} {INBOX} {len(body)}\r\n{body}\r\n".encode())
    nats.flush()
    while words := nats.readline().split():
        if words[0] == b"PING":
            nats.write(b"PONG\r\n")
        elif words[0] == b"MSG":
            return json.loads(nats.read(int(words[-1]) + 2))
        elif words[0] == b"HMSG" and b" 503" in nats.read(int(words[-1]) + 2):
            return {"nobody": True}
        nats.flush()
    sys.exit("the server closed the connection")  # nobody knows what became of the request: workload says so


def add(stream, element):
    answer = ask(f"{stream}.{element}")
    if "nobody" in answer:  # the one answer that proves that the message was stored nowhere
        return {"type": "fail", "error": "no stream takes it"}
    return {"type": "ok"} if "seq" in answer else {"type": "info", "error": str(answer)}


def read(stream):
    answer = ask(f"$JS.API.STREAM.INFO.{stream}", '{"subjects_filter": ">"}')
    if answer.get("error", {}).get("code") == 404:  # the first read of a run makes the stream
        config = {"name": stream, "subjects": [stream + ".*"], "num_replicas": 3}
        answer = ask(f"$JS.API.STREAM.CREATE.{stream}", json.dumps(config))
    if "state" not in answer:
        return {"type": "info", "error": str(answer)}
    return {"type": "ok", "value": [int(subject.split(".")[1]) for subject in answer["state"].get("subjects", {})]}


for line in sys.stdin:
    request = json.loads(line)
    stream = request["prefix"].replace(".", "_")
    nats = nats or connect(request["addrs"][0])
    answer = read(stream) if request["f"] == "read" else add(stream, request["value"])
    print(json.dumps(answer | {"id": request["id"]}), flush=True)
