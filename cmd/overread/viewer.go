package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/internal/viewer"
)

type viewerCmd struct {
	Install viewerInstallCmd `cmd:"" help:"Install the OHIF viewer, in the one version that this binary serves, into a folder of its own."`
}

type viewerInstallCmd struct {
	Dir  string `arg:"" type:"path" help:"The folder, e.g. /var/lib/overread/viewer: what overread serve --viewer-dir is given."`
	From string `name:"from" type:"path" placeholder:"FILE" help:"The package as a file (npm pack @ohif/app), where this machine cannot get it by npm."`
}

func (c viewerInstallCmd) Run(ctx context.Context, t terminal) error {
	file := c.From
	if file == "" {
		folder, err := os.MkdirTemp("", "overread-viewer-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		t.printf("getting %s@%s by npm\n", viewer.Package, viewer.Version)
		if file, err = viewer.Fetch(ctx, folder); err != nil {
			return err
		}
	}
	if err := viewer.Install(file, c.Dir); err != nil {
		return err
	}
	t.printf("%s@%s is in %s: give it to overread serve with --viewer-dir, and a host of its own with --viewer-url\n", viewer.Package, viewer.Version, c.Dir)
	return nil
}

// viewerFlags say whether there is a viewer, and where.
type viewerFlags struct {
	Dir    string `name:"viewer-dir" env:"OVERREAD_VIEWER_DIR" type:"path" placeholder:"DIR" help:"Where the OHIF viewer is installed (overread viewer install): serve it, on a listener of its own. Without it pages show images and have no viewer."`
	Listen string `name:"viewer-listen" env:"OVERREAD_VIEWER_LISTEN" default:"127.0.0.1:8086" help:"Address and port of the viewer."`
	URL    string `name:"viewer-url" env:"OVERREAD_VIEWER_URL" placeholder:"URL" help:"Where browsers find the viewer: at a host that is not that of the pages, so that no cookie of theirs goes there."`
}

// validate checks what kong cannot. root is where the pages are.
func (f viewerFlags) validate(root string) error {
	if f.Dir == "" {
		return nil
	}
	at, err := url.Parse(f.URL)
	pages, rootErr := url.Parse(root)
	switch {
	case f.URL == "":
		return badSetting("viewer-url", "is missing: --viewer-dir / OVERREAD_VIEWER_DIR needs it")
	case err != nil || !webOrigin.MatchString(f.URL):
		return badSetting("viewer-url", "%q is no origin as a browser sends it: scheme and host, the port where it is not the usual one, in small letters, without a slash at its end", f.URL)
	case rootErr == nil && pages.Hostname() == at.Hostname():
		return badSetting("viewer-url", "has the host of the pages, %s, whose cookies would go there too: ports do not part them; give the viewer a name of its own", at.Hostname())
	case !safeForCookies(f.URL):
		return badSetting("viewer-url", "%s is plain http, over which a ticket could be read", f.URL)
	}
	return nil
}

// newViewer puts the viewer together; nil where there is none.
func newViewer(f viewerFlags, sessions *session.Store, g *images, log *slog.Logger) (*viewer.Viewer, error) {
	if f.Dir == "" {
		return nil, nil //nolint:nilnil // there need be none
	}
	v, err := viewer.New(viewer.Config{
		Dir: f.Dir, URL: f.URL, Ticket: sessions, Log: log,
		Study: func(ctx context.Context, t session.Ticket) (string, error) {
			seen, err := g.surface().Viewing(ctx, t.Place.Actor, t.Task)
			if err == nil && len(seen.Studies) == 0 {
				err = fault.New(fault.NotFound, "this case has no study that can be shown")
			}
			if err != nil {
				return "", err
			}
			return seen.Studies[0].UID, nil
		},
		Images: func(w http.ResponseWriter, r *http.Request, t session.Ticket, path, root string) error {
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			return g.serve(w, r, t.Place.Actor, t.Task, path, root, fhir.Asked{Client: host})
		},
	})
	if err != nil {
		return nil, badSetting("viewer-dir", "%w", err)
	}
	return v, nil
}

// openViewer is the address of the viewer for a case of somebody who is signed in.
func (g *images) openViewer(ctx context.Context, id uuid.UUID, p access.Place, task string) (string, error) {
	if g.viewer == nil {
		return "", fault.New(fault.NotFound, "There is no viewer here.")
	}
	if _, err := g.surface().Viewing(ctx, p.Actor, task); err != nil {
		return "", err
	}
	code, err := g.sessions.GiveTicket(ctx, id, p, task)
	if err != nil {
		return "", err
	}
	return g.viewer.Address(code), nil
}

// viewerURL is where the viewer of the demo is: at localhost, since the pages are at
// 127.0.0.1, and cookies know no ports.
func viewerURL(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "http://localhost:" + port
}

// viewer is where the demo's viewer listens; nil where none is installed.
func (c *demoCmd) viewer(ctx context.Context) (net.Listener, error) {
	if _, err := viewer.New(viewer.Config{Dir: c.ViewerDir}); err != nil {
		return nil, nil //nolint:nilerr,nilnil // there need be none
	}
	return listenOrFree(ctx, "127.0.0.1:8086")
}

// viewerWords tell where the demo's viewer is.
func (*demoCmd) viewerWords(o *overread) string {
	if o.images.viewer == nil {
		return "none: pages show key images; make viewer installs OHIF for the next run"
	}
	return o.images.viewer.URL + "  (OHIF; opened from the page of a case)"
}

// serveViewer serves it until the server is shut down.
func (o *overread) serveViewer(ctx context.Context) (*http.Server, <-chan error) {
	failed := make(chan error, 1)
	if o.images.viewer == nil || o.viewerListener == nil {
		return nil, failed
	}
	server := o.gate.server(o.images.viewer.Handler(), strings.HasPrefix(o.images.viewer.URL, "https://"), o.log)
	go func() {
		if err := serveOn(ctx, server, o.viewerListener, o.certs); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	o.log.Info("serving the viewer", "url", o.images.viewer.URL, "listen", o.viewerListener.Addr().String())
	return server, failed
}
