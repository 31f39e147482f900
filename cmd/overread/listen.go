package main

import (
	"context"
	"net"
)

// listen opens an address for HTTP.
func listen(ctx context.Context, address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", address)
}

// listenOrFree listens where it is asked to, or on a free port when that one
// is taken.
func listenOrFree(ctx context.Context, address string) (net.Listener, error) {
	listener, err := listen(ctx, address)
	if err == nil {
		return listener, nil
	}
	host, _, wrong := net.SplitHostPort(address)
	if wrong != nil {
		return nil, err
	}
	return listen(ctx, net.JoinHostPort(host, "0"))
}
