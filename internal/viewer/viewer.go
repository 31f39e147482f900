// Package viewer has the OHIF viewer (MIT) served at an origin of its own, apart from
// the pages where people sign: install.go gets the one version that is pinned here,
// checks it and unpacks what is needed of it, serve.go serves it unchanged, with a
// configuration of ours that knows one source: DICOMweb of the case that a ticket
// (internal/session) is for. No decision depends on it: pages show images without it.
package viewer

import "errors"

// The one package that is installed: of npm, by name and version, and what its file is.
const (
	Package = "@ohif/app"
	Version = "3.13.2"
	SHA256  = "b189d3963bfc58e9394a9db8c7be75d07beb029ec211dbb126d47b62969dd3f1"
)

// ErrNotInstalled is the error of a folder in which there is no viewer.
var ErrNotInstalled = errors.New("there is no viewer: overread viewer install DIR")
