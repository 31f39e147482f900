package orthanc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attributes put a process into namespaces of its own, clone(2).
func attributes(w way) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{}
	switch w {
	case apartAsUser:
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		attr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER
	case apart:
		attr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID
	}
	return attr
}

// Keep is the keeper's life: it runs Orthanc, passes connections that come to
// the socket on to it, and ends it when standard input closes.
func Keep(program, config, port string) error {
	runtime.LockOSThread() // Pdeathsig is about the thread that starts it
	socket := os.NewFile(3, "listener")
	listener, err := net.FileListener(socket)
	if err != nil {
		return fmt.Errorf("the socket of the starter: %w", err)
	}
	if err := socket.Close(); err != nil { // Orthanc is not to have it
		return err
	}
	if os.Getpid() == 1 { // a namespace of our own
		if err := raiseLoopback(); err != nil {
			return fmt.Errorf("loopback: %w", err)
		}
	}
	pacs := exec.CommandContext(context.Background(), program, config)
	pacs.Stdout, pacs.Stderr = os.Stdout, os.Stderr
	pacs.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := pacs.Start(); err != nil {
		return err
	}
	go pass(listener, "127.0.0.1:"+port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = pacs.Process.Signal(syscall.SIGTERM)
		time.AfterFunc(stopPatience, func() { _ = pacs.Process.Kill() })
	}()
	return pacs.Wait()
}

// raiseLoopback brings the loopback device up, which a new namespace has down.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	device, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	device.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, device)
}

// pass brings every connection to an address in our namespace.
func pass(from net.Listener, to string) {
	for {
		outer, err := from.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go join(outer, to)
	}
}

func join(outer net.Conn, to string) {
	defer func() { _ = outer.Close() }()
	inner, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = inner.Close() }()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{inner, outer}, {outer, inner}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
}
