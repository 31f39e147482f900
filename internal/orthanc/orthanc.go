// Package orthanc runs a PACS of our own, for the demo and for tests: Debian's
// Orthanc with its DICOMweb plugin, as a process of its own and never linked.
//
// Orthanc listens at every address, whatever it is told. So it gets a network
// namespace in which there is nothing but a loopback device, and a keeper: this
// program again (Keep), which stands in that namespace, holds a socket that was
// opened outside, on 127.0.0.1, and passes connections through. The namespace
// of processes makes the kernel end Orthanc whenever the keeper ends, and the
// keeper ends when its standard input closes: whenever its starter does.
package orthanc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Options say how to run it.
type Options struct {
	Dir    string                                              // what it keeps; made where it is not there
	Keeper func(ctx context.Context, args ...string) *exec.Cmd // runs this program so that it calls Keep with these arguments
	// Exposed lets it run without a namespace, where the kernel gives none. It
	// then listens at every address of this machine, and only its password keeps
	// others out: for tests, whose patients are invented.
	Exposed bool
}

// Server is a running Orthanc.
type Server struct {
	Base           string // of its DICOMweb services, on 127.0.0.1
	User, Password string
	Exposed        bool // it listens at every address

	keeper *exec.Cmd
	stdin  io.Closer
	stop   sync.Once
	exited chan error
}

// ErrNotInstalled is what Start returns where there is no Orthanc.
var ErrNotInstalled = errors.New("there is no Orthanc here: run scripts/ensure orthanc")

// errNoNamespace: the kernel, or a container around us, gives no namespace.
var errNoNamespace = errors.New("no network namespace can be had here, and Orthanc would listen at every address of this machine")

const (
	user          = "overread"
	startPatience = 30 * time.Second
	stopPatience  = 5 * time.Second
	innerPort     = 8042 // within the namespace
)

// way is how far Orthanc is kept from everybody else.
type way int

const (
	apart       way = iota // namespaces, as root
	apartAsUser            // a user namespace first, which any user may have
	exposed                // none
)

// Start starts Orthanc and waits until it answers. The context bounds the start,
// not the life.
func Start(ctx context.Context, o Options) (*Server, error) {
	ways := []way{apart, apartAsUser}
	if os.Geteuid() != 0 {
		ways = ways[1:]
	}
	if o.Exposed {
		ways = append(ways, exposed)
	}
	var s *Server
	var err error
	for _, w := range ways {
		if s, err = start(ctx, o, w); !errors.Is(err, errNoNamespace) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("private PACS: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, o Options, w way) (*Server, error) {
	at, err := find()
	if err != nil {
		return nil, err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil { // Orthanc would take it from its configuration
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close() // the keeper has its own copy
	port := innerPort
	if w == exposed {
		if port, err = freePort(ctx); err != nil {
			return nil, err
		}
	}
	s := &Server{Base: "http://" + listener.Addr().String() + "/dicom-web", User: user, Password: rand.Text(), Exposed: w == exposed, exited: make(chan error, 1)}
	config, err := s.configure(o.Dir, at, port)
	if err != nil {
		return nil, err
	}
	if err := s.launch(o, at, listener, w, config, strconv.Itoa(port)); err != nil {
		return nil, err
	}
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// configure writes Orthanc's configuration.
func (s *Server) configure(dir string, at place, port int) (file string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(map[string]any{
		"Name":                  "Overread private PACS",
		"StorageDirectory":      filepath.Join(dir, "storage"),
		"IndexDirectory":        filepath.Join(dir, "storage"),
		"Plugins":               []string{at.plugin},
		"HttpPort":              port,
		"RemoteAccessAllowed":   false, // whom it hears is the keeper
		"AuthenticationEnabled": true,
		"RegisteredUsers":       map[string]string{s.User: s.Password},
		"DicomServerEnabled":    false,
		"DefaultEncoding":       "Utf8",
		"ConcurrentJobs":        1,
		"DicomWeb":              map[string]any{"Enable": true, "Root": "/dicom-web/", "EnableWado": false},
	}, "", "  ")
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "orthanc.json")
	return file, os.WriteFile(file, text, 0o600)
}

// launch starts the keeper.
func (s *Server) launch(o Options, at place, listener net.Listener, w way, config, port string) error {
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer socket.Close()
	log, err := os.OpenFile(filepath.Join(o.Dir, "orthanc.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.keeper = o.Keeper(context.Background(), at.program, config, port)
	if s.keeper.Env == nil {
		s.keeper.Env = os.Environ()
	}
	s.keeper.Env = append(s.keeper.Env, at.env...)
	s.keeper.Stdout, s.keeper.Stderr = log, log
	s.keeper.ExtraFiles = []*os.File{socket}
	s.keeper.SysProcAttr = attributes(w)
	if s.stdin, err = s.keeper.StdinPipe(); err != nil {
		return err
	}
	err = s.keeper.Start()
	if err != nil && w != exposed {
		err = fmt.Errorf("%w (%w)", errNoNamespace, err)
	}
	if err == nil {
		go func() { s.exited <- s.keeper.Wait() }()
	}
	return err
}

// await waits until Orthanc answers.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+"/studies?limit=1", nil)
		if err != nil {
			return err
		}
		req.SetBasicAuth(s.User, s.Password)
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-s.exited:
			s.exited <- err
			return fmt.Errorf("it has ended: %w; see orthanc.log beside its storage", err)
		case <-ctx.Done():
			return errors.New("it does not answer; see orthanc.log beside its storage")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends Orthanc and its keeper. It may be called more than once.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		_ = s.stdin.Close()
		impatient := time.AfterFunc(2*stopPatience, func() { _ = s.keeper.Process.Kill() })
		defer impatient.Stop()
		s.exited <- <-s.exited
	})
	return nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
