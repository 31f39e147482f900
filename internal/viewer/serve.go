package viewer

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the configuration
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/session"
)

// Config is what a viewer needs.
type Config struct {
	Dir    string // where it is installed
	URL    string // its origin, as browsers see it
	Ticket *session.Store
	// Study is the study that is opened first of a ticket's case.
	Study func(ctx context.Context, t session.Ticket) (uid string, err error)
	// Images answers DICOMweb of a ticket's case.
	Images func(w http.ResponseWriter, r *http.Request, t session.Ticket, path, root string) error
	Log    *slog.Logger
}

// Viewer serves it. It is at an origin of its own.
type Viewer struct {
	Config

	files  fs.FS
	index  []byte
	policy string
}

//go:embed app-config.js
var appConfig []byte

// New reads what is installed.
func New(cfg Config) (*Viewer, error) {
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNotInstalled, err)
	}
	v := &Viewer{Config: cfg, files: root.FS()}
	text, err := fs.ReadFile(v.files, made)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Dir, ErrNotInstalled)
	}
	var is about
	if err := json.Unmarshal(text, &is); err != nil || is.Version != Version || is.SHA256 != SHA256 {
		return nil, fmt.Errorf("%s has another viewer than %s@%s: overread viewer install %s", cfg.Dir, Package, Version, cfg.Dir)
	}
	return v, v.read()
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// read takes the page of the viewer, and lets the scripts run that stand in it.
func (v *Viewer) read() (err error) {
	if v.index, err = fs.ReadFile(v.files, "index.html"); err != nil {
		return err
	}
	v.index = bytes.ReplaceAll(v.index, []byte(`<script rel="preload" as="script" type="module" src="/init-service-worker.js"></script>`), nil) // there is none
	scripts := []string{"'self'", "'wasm-unsafe-eval'"}
	for _, found := range inlineScript.FindAllSubmatch(v.index, -1) {
		sum := sha256.Sum256(found[1])
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	v.policy = "default-src 'none'; script-src " + strings.Join(scripts, " ") + "; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; " +
		"connect-src 'self' data: blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return nil
}

// Handler answers everything at the viewer's origin. Nothing is changed there.
func (v *Viewer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/open/{code}", v.open)
	mux.HandleFunc("/c/{ticket}/dicomweb/", v.dicomweb)
	mux.HandleFunc("/app-config.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(appConfig)
	})
	mux.HandleFunc("/viewer", v.page)
	mux.HandleFunc("/", v.file)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", v.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "Nothing is changed here.", http.StatusMethodNotAllowed)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Address is where a code is taken.
func (v *Viewer) Address(code string) string { return v.URL + "/open/" + url.PathEscape(code) }

// cookie is the ticket's, which is sent to its own address only: two cases in two
// windows do not mix.
const cookie = "overread-viewer"

func rootOf(id uuid.UUID) string { return "/c/" + id.String() + "/dicomweb" }

// open takes a code and leads to the viewer, with the case's study.
func (v *Viewer) open(w http.ResponseWriter, r *http.Request) {
	t, value, err := v.Ticket.UseTicket(r.Context(), r.PathValue("code"))
	var study string
	if err == nil {
		study, err = v.Study(r.Context(), t)
	}
	if err != nil {
		v.refuse(w, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: value, Path: "/c/" + t.ID.String(), MaxAge: int(time.Hour.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: strings.HasPrefix(v.URL, "https://")}) //nolint:gosec // on this machine, over http, there is no secure one
	http.Redirect(w, r, "/viewer?"+url.Values{"StudyInstanceUIDs": {study}, "case": {t.ID.String()}}.Encode(), http.StatusSeeOther)
}

// dicomweb answers the viewer's questions about the images of its case.
func (v *Viewer) dicomweb(w http.ResponseWriter, r *http.Request) {
	id, err := uuid.Parse(r.PathValue("ticket"))
	sent := r.CookiesNamed(cookie)
	if err != nil || len(sent) != 1 {
		v.refuse(w, session.ErrNone)
		return
	}
	t, err := v.Ticket.OfTicket(r.Context(), id, sent[0].Value)
	if err == nil {
		_, below, _ := strings.Cut(r.URL.EscapedPath(), "/dicomweb/")
		err = v.Images(w, r, t, "/"+below, rootOf(id))
	}
	if err != nil {
		v.refuse(w, err)
	}
}

// refuse answers in one line of text: what asks is a program, or somebody who comes
// too late.
func (v *Viewer) refuse(w http.ResponseWriter, err error) {
	status, text := http.StatusServiceUnavailable, "The images cannot be shown now. Try again in a moment."
	known, isFault := errors.AsType[*fault.Error](err)
	switch {
	case errors.Is(err, session.ErrNone):
		status, text = http.StatusGone, "This view has ended. Open the viewer from the page of the case again."
	case isFault:
		text = known.Issues[0].Text
		status = map[fault.Kind]int{fault.NotFound: http.StatusNotFound, fault.Value: http.StatusBadRequest, fault.Forbidden: http.StatusForbidden, fault.MethodNotAllowed: http.StatusMethodNotAllowed,
			fault.TooLarge: http.StatusBadGateway, fault.Unavailable: http.StatusServiceUnavailable}[known.Kind()]
		if status == 0 {
			status = http.StatusBadRequest
		}
	default:
		v.Log.Error("the viewer failed", "error", err)
	}
	http.Error(w, text, status)
}

// page is the viewer itself, which shows nothing without a ticket.
func (v *Viewer) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(v.index)
}

// hashed are names that change with the content.
var hashed = regexp.MustCompile(`[0-9a-f]{16}\.(js|wasm|woff2|css)$`)

var kinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".wasm": "application/wasm", ".json": "application/json", ".svg": "image/svg+xml",
	".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2", ".webapp": "application/json", ".xml": "text/xml",
}

// file is one of the viewer's, compressed where the browser takes it so.
func (v *Viewer) file(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	kind := kinds[filepath.Ext(name)]
	if !fs.ValidPath(name) || kind == "" || name == made {
		http.Error(w, "Open the viewer from the page of a case.", http.StatusNotFound)
		return
	}
	content, err := []byte(nil), fs.ErrNotExist
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if content, err = fs.ReadFile(v.files, name+".gz"); err == nil {
			w.Header().Set("Content-Encoding", "gzip")
		}
	}
	if err != nil {
		content, err = fs.ReadFile(v.files, name)
	}
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Vary", "Accept-Encoding")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	if hashed.MatchString(name) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(content) //nolint:gosec // a file of the package whose hash is pinned
}
