"""A workload written with py-spiffe. The interop tests start it against an agent and read its JSON.

peer.py fetch --socket unix:///... --audience A    everything once, verified
peer.py hold  --socket unix:///...                 mutual TLS with itself until standard input closes
"""

import argparse
import json
import select
import sys
import threading
import time

from spiffe import JwtSvid, WorkloadApiClient, X509Source
from spiffetls import ListenOptions, ServerTlsMode, dial, listen
from spiffetls.mode import ClientTlsMode


def fetch(socket_path: str, audience: str) -> None:
    with WorkloadApiClient(socket_path) as client:
        context = client.fetch_x509_context()
        svid = context.default_svid
        bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        assert bundle is not None, "no X.509 bundle of the workload's own trust domain"
        leaf = svid.leaf
        signers = [*svid.cert_chain[1:], *bundle.x509_authorities]
        verified = False
        for signer in signers:
            try:
                leaf.verify_directly_issued_by(signer)
                verified = True
            except Exception:
                continue
        assert verified, "the X509-SVID does not chain to the bundle"
        token = client.fetch_jwt_svid(audience={audience})
        jwt_bundles = client.fetch_jwt_bundles()
        jwt_bundle = jwt_bundles.get_bundle_for_trust_domain(token.spiffe_id.trust_domain)
        checked = JwtSvid.parse_and_validate(token.token, jwt_bundle, {audience})
        by_agent = client.validate_jwt_svid(token.token, audience)
        print(
            json.dumps(
                {
                    "x509Id": str(svid.spiffe_id),
                    "jwtId": str(checked.spiffe_id),
                    "jwtAgentId": str(by_agent.spiffe_id),
                    "x509Bundles": sorted(b.trust_domain.name for b in context.x509_bundle_set.bundles),
                    "jwtBundles": sorted(b.trust_domain.name for b in jwt_bundles.bundles),
                }
            ),
            flush=True,
        )


def serve(listener) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except Exception:
            return
        threading.Thread(target=echo_all, args=(connection,), daemon=True).start()


def echo_all(connection) -> None:
    try:
        while True:
            data = connection.recv(64)
            if not data:
                return
            connection.sendall(data)
    except Exception:
        return
    finally:
        connection.close()


def round_trip(connection) -> None:
    connection.sendall(b"hello\n")
    answer = b""
    while len(answer) < 6:
        try:
            answer += connection.recv(64)
        except Exception as error:
            if type(error).__name__ in ("WantReadError", "WantWriteError"):
                select.select([connection], [], [], 10)
                continue
            raise
    assert answer == b"hello\n", answer


def hold(socket_path: str) -> None:
    updates = [0]
    source = X509Source(socket_path=socket_path, timeout_in_seconds=20)
    source.subscribe_for_updates(lambda: updates.__setitem__(0, updates[0] + 1))
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    result = {"handshakes": 0, "failures": [], "serials": 0, "streamUpdates": 0, "heldEchoes": 0}
    serials: set[int] = set()
    held = None
    while not stop.is_set():
        try:
            # py-spiffe reads the source when a listener or connection is made, so each one shows the SVID of that moment.
            listener = listen("127.0.0.1:0", source, ListenOptions(tls_mode=ServerTlsMode.MTLS))
            port = listener.getsockname()[1]
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
            connection = dial(f"127.0.0.1:{port}", source, ClientTlsMode.TLS)
            round_trip(connection)
            if held is None:
                held = connection
            else:
                connection.close()
            listener.close()
            round_trip(held)
            result["heldEchoes"] += 1
        except Exception as error:  # every failure counts, whatever it is
            result["failures"].append(f"{type(error).__name__}: {error}")
        result["handshakes"] += 1
        known = len(serials)
        serials.add(source.get_x509_context().default_svid.leaf.serial_number)
        if len(serials) > known:
            print(f"svid {len(serials)}", file=sys.stderr, flush=True)
        time.sleep(0.05)
    result["serials"] = len(serials)
    result["streamUpdates"] = updates[0]
    print(json.dumps(result), flush=True)
    source.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["fetch", "hold"])
    parser.add_argument("--socket", required=True)
    parser.add_argument("--audience", default="interop")
    arguments = parser.parse_args()
    if arguments.command == "fetch":
        fetch(arguments.socket, arguments.audience)
    else:
        hold(arguments.socket)


main()
