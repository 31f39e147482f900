package dicomweb

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/workflow"
)

// Bounds of what is passed on. They are told in docs/images.md.
const (
	pictureMax  = 16 << 20  // bytes of a rendered image, which is held in memory until it is whole
	textMaximum = 64 << 20  // bytes of metadata
	passedMax   = 512 << 20 // bytes of one answer with pixels or bulk data
	passTime    = 100 * time.Second
	headerTime  = 20 * time.Second
	atOnce      = 24 // requests of a tenant under way at its PACS
)

// Gateway passes on what PACS have of the studies of a case: searches, metadata,
// pixels. It is the only way from a browser to a PACS. It makes each request itself,
// with the credentials of the PACS and nothing of the browser's, and gives of the
// answer what it has understood.
type Gateway struct {
	client *Client // of what is read as a whole
	pass   *Client // of what streams through
	shelf  *shelf

	mu    sync.Mutex
	doors map[uuid.UUID]chan struct{} // of each tenant, atOnce wide
}

// NewGateway makes one that goes where the guard lets it.
func NewGateway(version string, guard *outbound.Guard, now func() time.Time) *Gateway {
	pass := &Client{userAgent: "Overread/" + version, now: now, http: guard.Client(outbound.Limits{Timeout: passTime, MaxBody: passedMax})}
	client := New(version, guard, now)
	return &Gateway{client: client, pass: pass, shelf: &shelf{client: client, now: now, kept: map[string]*reading{}}, doors: map[uuid.UUID]chan struct{}{}}
}

// Request is what is asked of the studies of a case.
type Request struct {
	Viewing workflow.Viewing
	Path    string // below the root, e.g. /studies/1.2.3/series
	Root    string // of the addresses that the answer may name: where this is served
	// Opened is told which study is about to be shown, before anything of it is; where
	// it fails nothing is shown.
	Opened func(ctx context.Context, study string) error
}

// Serve answers one request, GET or HEAD. Its errors are faults, of which nothing was
// answered yet.
func (g *Gateway) Serve(w http.ResponseWriter, r *http.Request, q Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return fault.New(fault.MethodNotAllowed, "images are read here, and not changed")
	}
	at, err := readAddress(q.Path)
	if err != nil {
		return err
	}
	p := &passing{Gateway: g, Request: q, at: at, w: w, r: r}
	if at.kind == searchStudies {
		return p.searchStudies()
	}
	whose, ok := q.Viewing.Of(at.study)
	if !ok {
		return notShown()
	}
	p.veiled = whose.Veiled
	if p.study, err = g.shelf.study(r.Context(), q.Viewing, at.study); err != nil {
		if errors.Is(err, errPending) {
			return unavailable(nil)
		}
		return err
	}
	if at.series != "" {
		if p.series = p.study.of(at.series, p.veiled); p.series == nil || at.instance != "" && !p.series.has(at.instance, p.veiled) {
			return notShown()
		}
	}
	if at.kind == wholeInstance && p.veiled {
		return fault.New(fault.Forbidden, "whole instances are not given to who reads blind: ask for metadata and frames")
	}
	if err := q.Opened(r.Context(), at.study); err != nil {
		return err
	}
	switch at.kind {
	case searchSeries:
		return p.searchSeries()
	case searchInstances:
		return p.searchInstances()
	case metadata:
		return p.metadata()
	case rendered:
		return p.rendered()
	}
	return p.parts()
}

func notShown() error {
	return fault.New(fault.NotFound, "there is no such study, series or instance in this case, or it is not shown")
}

// passing is one request on its way.
type passing struct {
	*Gateway
	Request

	at     resource
	veiled bool
	study  *stored
	series *storedSeries
	w      http.ResponseWriter
	r      *http.Request
}

// headers are on every answer: nothing of it runs, is framed, or is kept.
func (p *passing) headers(kind string) {
	h := p.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
}

// ask asks the PACS of the study. end has to be called when the answer is read.
func (p *passing) ask(accept string, query url.Values) (res *http.Response, end func(), err error) {
	door := p.door()
	select {
	case door <- struct{}{}:
	case <-p.r.Context().Done():
		return nil, nil, unavailable(nil)
	}
	ctx, cancel := context.WithTimeout(p.r.Context(), passTime)
	end = func() { cancel(); <-door }
	slow := time.AfterFunc(headerTime, cancel)
	defer slow.Stop()
	target := p.study.archive.BaseURL + p.at.path()
	if len(query) > 0 {
		target += "?" + strings.ReplaceAll(query.Encode(), "%2C", ",") // not every PACS takes an escaped comma (Orthanc 1.10)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		end()
		return nil, nil, unavailable(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", p.pass.userAgent)
	if file := p.study.archive.CredentialFile; file != nil {
		if err := authorise(req, *file); err != nil {
			end()
			return nil, nil, unavailable(&trouble{workflow.PACSRefused, "credential-file", 0, 0})
		}
	}
	res, err = p.pass.http.Do(req)
	if err != nil {
		end()
		return nil, nil, unavailable(unanswered(err))
	}
	if res.StatusCode == http.StatusOK {
		return res, end, nil
	}
	_ = res.Body.Close()
	end()
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusGone, http.StatusNotAcceptable, http.StatusBadRequest:
		return nil, nil, fault.New(fault.NotFound, "the PACS cannot give this")
	}
	return nil, nil, unavailable(p.pass.judge(res)) // a redirect, too: none is followed
}

func (g *Gateway) doorOf(tenant uuid.UUID) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.doors[tenant] == nil {
		g.doors[tenant] = make(chan struct{}, atOnce)
	}
	return g.doors[tenant]
}

func (p *passing) door() chan struct{} { return p.doorOf(p.Viewing.Tenant) }

// pictureTypes are what a rendered image may be (PS3.18 section 8.7.3.3).
var pictureTypes = []string{"image/jpeg", "image/png", "image/gif"}

// rendered passes on an image as a browser shows it. It is taken for what its first
// bytes say.
func (p *passing) rendered() error {
	query := url.Values{}
	for name, values := range p.r.URL.Query() {
		form := renderedParameters[name]
		if form == nil || len(values) != 1 || !form.MatchString(values[0]) {
			return fault.New(fault.Value, "of a rendered image, viewport, window and quality may be said, each once")
		}
		query.Set(name, values[0])
	}
	if strings.HasSuffix(p.Path, "/thumbnail") {
		query.Set("viewport", "128,128")
	}
	accept := "image/jpeg"
	if sent := p.r.Header.Get("Accept"); strings.HasPrefix(sent, "image/png") {
		accept = "image/png"
	}
	res, end, err := p.ask(accept, query)
	if err != nil {
		return err
	}
	defer end()
	defer res.Body.Close()
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(res.Body, pictureMax+1))
	switch {
	case err != nil:
		return unavailable(unanswered(err))
	case len(body) > pictureMax:
		return fault.New(fault.TooLarge, "this image is larger than is passed on")
	case !slices.Contains(pictureTypes, kind) || http.DetectContentType(body) != kind:
		return unavailable(&trouble{workflow.PACSUnreadable, "media-type", res.StatusCode, 0})
	}
	p.headers(kind)
	return p.reply(body)
}

// reply answers with a body that is whole.
func (p *passing) reply(body []byte) error {
	p.w.Header().Set("Content-Length", itoa(len(body)))
	p.w.WriteHeader(http.StatusOK)
	if p.r.Method == http.MethodHead {
		return nil
	}
	_, err := p.w.Write(body)
	return cut(err)
}

// cut: the browser is gone, and nobody is left to be told.
func cut(error) error { return nil }
