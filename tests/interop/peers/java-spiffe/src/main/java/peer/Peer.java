package peer;

import io.spiffe.bundle.jwtbundle.JwtBundleSet;
import io.spiffe.provider.SpiffeSslContextFactory;
import io.spiffe.provider.SpiffeSslContextFactory.SslContextOptions;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.svid.x509svid.X509Svid;
import io.spiffe.svid.x509svid.X509SvidValidator;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.DefaultX509Source;
import io.spiffe.workloadapi.Watcher;
import io.spiffe.workloadapi.WorkloadApiClient;
import io.spiffe.workloadapi.X509Context;
import java.io.InputStream;
import java.io.OutputStream;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/**
 * A workload written with java-spiffe. The interop tests start it against an agent and read its JSON.
 * Arguments: fetch|hold, the address of the Workload API, and for fetch an audience.
 */
public final class Peer {
    private static final byte[] HELLO = "hello\n".getBytes(StandardCharsets.US_ASCII);

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("fetch")) {
            fetch(arguments[1], arguments.length > 2 ? arguments[2] : "interop");
        } else {
            hold(arguments[1]);
        }
        System.exit(0);
    }

    private static WorkloadApiClient client(String socket) throws Exception {
        return DefaultWorkloadApiClient.newClient(
                DefaultWorkloadApiClient.ClientOptions.builder().spiffeSocketPath(socket).build());
    }

    private static void fetch(String socket, String audience) throws Exception {
        try (WorkloadApiClient client = client(socket)) {
            X509Context context = client.fetchX509Context();
            X509Svid svid = context.getDefaultSvid();
            X509SvidValidator.verifyChain(svid.getChain(), context.getX509BundleSet());
            JwtSvid token = client.fetchJwtSvid(audience);
            JwtBundleSet bundles = client.fetchJwtBundles();
            JwtSvid checked = JwtSvid.parseAndValidate(token.getToken(), bundles, Set.of(audience));
            JwtSvid byAgent = client.validateJwtSvid(token.getToken(), audience);
            System.out.printf(
                    "{\"x509Id\":\"%s\",\"jwtId\":\"%s\",\"jwtAgentId\":\"%s\",\"x509Bundles\":[%s],\"jwtBundles\":[%s]}%n",
                    svid.getSpiffeId(), checked.getSpiffeId(), byAgent.getSpiffeId(),
                    names(context.getX509BundleSet().getBundles().keySet()), names(bundles.getBundles().keySet()));
        }
    }

    private static String names(Set<?> trustDomains) {
        return String.join(",", trustDomains.stream().map(name -> "\"" + name + "\"").sorted().toList());
    }

    private static void hold(String socketPath) throws Exception {
        DefaultX509Source source = DefaultX509Source.newSource(DefaultX509Source.X509SourceOptions.builder()
                .spiffeSocketPath(socketPath).initTimeout(Duration.ofSeconds(20)).build());
        AtomicInteger updates = new AtomicInteger();
        WorkloadApiClient watching = client(socketPath);
        watching.watchX509Context(new Watcher<>() {
            @Override
            public void onUpdate(X509Context update) {
                updates.incrementAndGet();
            }

            @Override
            public void onError(Throwable error) {
                System.err.println("watch: " + error);
            }
        });
        SpiffeId own = source.getX509Svid().getSpiffeId();
        SSLContext context = SpiffeSslContextFactory.getSslContext(SslContextOptions.builder()
                .x509Source(source).acceptedSpiffeIdsSupplier(() -> Set.of(own)).build());
        SSLServerSocket listener = (SSLServerSocket) context.getServerSocketFactory()
                .createServerSocket(0, 50, InetAddress.getLoopbackAddress());
        listener.setNeedClientAuth(true);
        daemon(() -> {
            while (true) {
                Socket accepted = listener.accept();
                daemon(() -> {
                    try (accepted) {
                        accepted.getInputStream().transferTo(accepted.getOutputStream());
                    }
                });
            }
        });
        AtomicBoolean stop = new AtomicBoolean();
        daemon(() -> {
            while (System.in.read() >= 0) {
                continue;
            }
            stop.set(true);
        });
        SSLSocket held = dial(context, listener.getLocalPort());
        Set<BigInteger> serials = new HashSet<>();
        List<String> failures = new ArrayList<>();
        int handshakes = 0;
        int heldEchoes = 0;
        while (!stop.get()) {
            try (SSLSocket connection = dial(context, listener.getLocalPort())) {
                roundTrip(connection);
            } catch (Exception error) {
                failures.add(error.toString());
            }
            handshakes++;
            try {
                roundTrip(held);
                heldEchoes++;
            } catch (Exception error) {
                failures.add("held: " + error);
            }
            if (serials.add(source.getX509Svid().getLeaf().getSerialNumber())) {
                System.err.println("svid " + serials.size());
            }
            Thread.sleep(20);
        }
        System.out.printf(
                "{\"handshakes\":%d,\"failures\":[%s],\"serials\":%d,\"streamUpdates\":%d,\"heldEchoes\":%d}%n",
                handshakes, String.join(",", failures.stream().map(text -> "\"" + text.replace('"', '\'') + "\"").toList()),
                serials.size(), updates.get(), heldEchoes);
    }

    private static SSLSocket dial(SSLContext context, int port) throws Exception {
        SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(InetAddress.getLoopbackAddress(), port);
        socket.setSoTimeout(10_000);
        return socket;
    }

    private static void roundTrip(Socket socket) throws Exception {
        OutputStream out = socket.getOutputStream();
        InputStream in = socket.getInputStream();
        out.write(HELLO);
        out.flush();
        byte[] answer = in.readNBytes(HELLO.length);
        if (!java.util.Arrays.equals(answer, HELLO)) {
            throw new IllegalStateException("the echo came back as " + answer.length + " other bytes");
        }
    }

    private interface Work {
        void run() throws Exception;
    }

    private static void daemon(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception error) {
                System.err.println(error);
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}
