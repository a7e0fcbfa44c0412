// Command peer is a workload written with go-spiffe. The interop tests start it against an agent and read its JSON.
//
//	peer fetch -socket unix:///… -audience A    everything once, verified
//	peer hold  -socket unix:///…                mutual TLS with itself until standard input closes
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: peer fetch|hold [flags]")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	socket := flags.String("socket", "", "address of the Workload API")
	audience := flags.String("audience", "interop", "audience of the JWT-SVID")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	switch args[0] {
	case "fetch":
		return fetch(ctx, *socket, *audience)
	case "hold":
		return hold(ctx, *socket)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func fetch(ctx context.Context, socket, audience string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client, err := workloadapi.New(ctx, workloadapi.WithAddr(socket))
	if err != nil {
		return err
	}
	defer client.Close()

	x509Context, err := client.FetchX509Context(ctx)
	if err != nil {
		return fmt.Errorf("X.509 context: %w", err)
	}
	svid := x509Context.DefaultSVID()
	id, _, err := x509svid.Verify(svid.Certificates, x509Context.Bundles)
	if err != nil {
		return fmt.Errorf("X509-SVID does not verify: %w", err)
	}
	x509Bundles, err := client.FetchX509Bundles(ctx)
	if err != nil {
		return fmt.Errorf("X.509 bundles: %w", err)
	}
	token, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return fmt.Errorf("JWT-SVID: %w", err)
	}
	jwtBundles, err := client.FetchJWTBundles(ctx)
	if err != nil {
		return fmt.Errorf("JWT bundles: %w", err)
	}
	verified, err := jwtsvid.ParseAndValidate(token.Marshal(), jwtBundles, []string{audience})
	if err != nil {
		return fmt.Errorf("JWT-SVID does not verify: %w", err)
	}
	validated, err := client.ValidateJWTSVID(ctx, token.Marshal(), audience)
	if err != nil {
		return fmt.Errorf("the agent refuses its own JWT-SVID: %w", err)
	}
	return print(map[string]any{
		"x509Id":       id.String(),
		"x509NotAfter": svid.Certificates[0].NotAfter.UTC().Format(time.RFC3339),
		"hint":         svid.Hint,
		"jwtId":        verified.ID.String(),
		"jwtAgentId":   validated.ID.String(),
		"x509Bundles":  x509Domains(x509Bundles),
		"jwtBundles":   jwtDomains(jwtBundles),
	})
}

func x509Domains(set *x509bundle.Set) []string {
	var names []string
	for _, bundle := range set.Bundles() {
		names = append(names, bundle.TrustDomain().Name())
	}
	sort.Strings(names)
	return names
}

func jwtDomains(set *jwtbundle.Set) []string {
	var names []string
	for _, bundle := range set.Bundles() {
		names = append(names, bundle.TrustDomain().Name())
	}
	sort.Strings(names)
	return names
}

// hold keeps one long connection and makes short ones all the time, so that a rotation which breaks either is seen.
func hold(ctx context.Context, socket string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithAddr(socket)))
	if err != nil {
		return err
	}
	defer source.Close()

	first, err := source.GetX509SVID()
	if err != nil {
		return err
	}
	mode := spiffetls.MTLSServerWithSource(tlsconfig.AuthorizeMemberOf(first.ID.TrustDomain()), source)
	listener, err := spiffetls.ListenWithMode(ctx, "tcp", "127.0.0.1:0", mode)
	if err != nil {
		return err
	}
	defer listener.Close()
	go serve(listener)
	address := listener.Addr().String()
	dial := func() (net.Conn, error) {
		return spiffetls.DialWithMode(ctx, "tcp", address, spiffetls.MTLSClientWithSource(tlsconfig.AuthorizeID(first.ID), source))
	}

	held, err := dial()
	if err != nil {
		return err
	}
	defer held.Close()

	var mutex sync.Mutex
	result := struct {
		Handshakes    int      `json:"handshakes"`
		Failures      []string `json:"failures"`
		Serials       int      `json:"serials"`
		StreamUpdates int      `json:"streamUpdates"`
		HeldEchoes    int      `json:"heldEchoes"`
	}{Failures: []string{}}
	serials := map[string]bool{}

	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-source.Updated():
				mutex.Lock()
				result.StreamUpdates++
				mutex.Unlock()
			}
		}
	}()

	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	heldReader := bufio.NewReader(held)
	announced := 0
	for {
		select {
		case <-stop:
			mutex.Lock()
			defer mutex.Unlock()
			result.Serials = len(serials)
			return print(result)
		default:
		}
		err := echo(dial)
		svid, svidErr := source.GetX509SVID()
		heldErr := roundTrip(held, heldReader)
		mutex.Lock()
		result.Handshakes++
		for _, failure := range []error{err, svidErr, heldErr} {
			if failure != nil {
				result.Failures = append(result.Failures, failure.Error())
			}
		}
		if heldErr == nil {
			result.HeldEchoes++
		}
		if svidErr == nil {
			serials[svid.Certificates[0].SerialNumber.String()] = true
		}
		mutex.Unlock()
		if len(serials) > announced {
			announced = len(serials)
			// The test counts these lines to know how many rotations the workload has lived through.
			fmt.Fprintf(os.Stderr, "svid %d\n", announced)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			_, _ = io.Copy(connection, connection)
		}()
	}
}

func echo(dial func() (net.Conn, error)) error {
	connection, err := dial()
	if err != nil {
		return err
	}
	defer connection.Close()
	return roundTrip(connection, bufio.NewReader(connection))
}

func roundTrip(connection net.Conn, reader *bufio.Reader) error {
	if err := connection.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := connection.Write([]byte("hello\n")); err != nil {
		return err
	}
	line, err := reader.ReadString('\n')
	if err != nil {
		return err
	}
	if line != "hello\n" {
		return fmt.Errorf("echo came back as %q", line)
	}
	return nil
}

func print(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
