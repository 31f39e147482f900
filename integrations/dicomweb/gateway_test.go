package dicomweb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	_ "image/jpeg" // what a PACS renders
	_ "image/png"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/integrations/dicomweb"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/phantom"
	"github.com/overread/overread/workflow"
)

// window is a gateway with what somebody may see through it.
type window struct {
	t       *testing.T
	gateway *dicomweb.Gateway
	viewing workflow.Viewing
	opened  []string // studies, each time
}

const root = "/case/7/dicomweb"

func newWindow(t *testing.T, archive workflow.Archive, studies ...string) *window {
	w := &window{t: t, gateway: dicomweb.NewGateway("test", outbound.Loopback(), time.Now), viewing: workflow.Viewing{Tenant: uuid.New(), Archives: []workflow.Archive{archive}}}
	for i, uid := range studies {
		w.viewing.Studies = append(w.viewing.Studies, workflow.ViewedStudy{UID: uid, Prior: i > 0})
	}
	return w
}

// blind is the same for who reads blind.
func (w *window) blind() *window {
	other := *w
	other.viewing.Studies = slices.Clone(w.viewing.Studies)
	for i := range other.viewing.Studies {
		other.viewing.Studies[i].Veiled = true
	}
	return &other
}

// ask asks as a browser does, with a cookie and a token of its own.
func (w *window) ask(method, address string, header ...string) (*httptest.ResponseRecorder, error) {
	w.t.Helper()
	path, query, _ := strings.Cut(address, "?")
	r := httptest.NewRequestWithContext(w.t.Context(), method, "/x?"+query, nil)
	r.Header.Set("Cookie", "overread=secret-of-the-browser")
	r.Header.Set("Authorization", "Bearer secret-of-the-browser")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	err := w.gateway.Serve(answer, r, dicomweb.Request{Viewing: w.viewing, Path: path, Root: root, Opened: func(_ context.Context, study string) error {
		w.opened = append(w.opened, study)
		return nil
	}})
	return answer, err
}

func (w *window) get(address string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	answer, err := w.ask(http.MethodGet, address, header...)
	if err != nil {
		w.t.Fatalf("%s: %v", address, err)
	}
	if h := answer.Header(); h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("Cache-Control") != "no-store" {
		w.t.Errorf("%s: headers %v", address, h)
	}
	for name := range answer.Header() {
		if !slices.Contains([]string{"Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options", "Content-Security-Policy", "Cross-Origin-Resource-Policy", "Referrer-Policy", "Content-Disposition"}, name) {
			w.t.Errorf("%s: the header %s of the PACS was passed on", address, name)
		}
	}
	if strings.Contains(answer.Body.String(), "127.0.0.1") || strings.Contains(answer.Body.String(), "dicom-web") {
		w.t.Errorf("%s: the answer tells where the PACS is", address)
	}
	return answer
}

func (w *window) refuses(address string, kind fault.Kind, header ...string) {
	w.t.Helper()
	if answer, err := w.ask(http.MethodGet, address, header...); !fault.Is(err, kind) {
		w.t.Errorf("%s: %v, %d %.200s", address, err, answer.Code, answer.Body)
	}
}

// results are those of a search, each as its values by tag.
func (w *window) results(address string) (all []map[string]struct{ Value []any }) {
	w.t.Helper()
	if err := json.Unmarshal(w.get(address).Body.Bytes(), &all); err != nil {
		w.t.Fatalf("%s: %v", address, err)
	}
	return all
}

// first has what a first reader leaves in a PACS besides the images: a report, marks,
// key images, a scanned page, and their name within the images.
type first struct {
	study            phantom.Study
	ct               phantom.Series
	images           []string
	notes, noteTexts map[string]string // SOP Instance UID and series of each kind
}

func firstReading(t *testing.T) first {
	t.Helper()
	f := first{study: exam(), notes: map[string]string{}, noteTexts: map[string]string{}}
	f.ct = phantom.Series{UID: newUID(), Number: 1, Modality: "CT", BodyPart: "CHEST"}
	for i := range 5 {
		uid := newUID()
		f.images = append(f.images, uid)
		keep(t, phantom.Image{Study: f.study, Series: f.ct, UID: uid, Number: i + 1, Persons: "Original^Reader"})
	}
	for kind, class := range map[string]string{
		"SR": "1.2.840.10008.5.1.4.1.1.88.22", "DOC": "1.2.840.10008.5.1.4.1.1.104.1", "PR": "1.2.840.10008.5.1.4.1.1.11.1",
		"SEG": "1.2.840.10008.5.1.4.1.1.66.4", "KO": phantom.KeyObjects,
		"CT": "1.2.840.10008.5.1.4.1.1.7", // the screen of a workstation, with its marks: no modality of its own
	} {
		se := phantom.Series{UID: newUID(), Number: 20, Modality: kind}
		i := phantom.Image{Study: f.study, Series: se, UID: newUID(), Number: 1, Class: class, Persons: "Original^Reader"}
		if kind == "KO" {
			i.Selects = &phantom.Selected{Title: "113000", Series: f.ct.UID, Images: f.images[3:4]}
		}
		f.notes[kind], f.noteTexts[kind] = i.UID, se.UID
		keep(t, i)
	}
	return f
}

func keep(t *testing.T, images ...phantom.Image) {
	t.Helper()
	for _, i := range images {
		if err := pacs.Store(t.Context(), i.File()); err != nil {
			t.Fatal(err)
		}
	}
}

func (f first) at(instance string) string {
	return "/studies/" + f.study.UID + "/series/" + f.ct.UID + "/instances/" + instance
}

func TestImagesComeThroughTheGatewayAsAPicturesMetadataAndFrames(t *testing.T) {
	t.Parallel()
	f := firstReading(t)
	w := newWindow(t, archiveOf(t), f.study.UID)
	for _, kind := range []string{"image/jpeg", "image/png"} {
		answer := w.get(f.at(f.images[0])+"/rendered?viewport=256,256", "Accept", kind)
		picture, got, err := image.Decode(answer.Body)
		if err != nil || "image/"+got != kind || picture.Bounds().Dx() != 256 || answer.Header().Get("Content-Type") != kind {
			t.Errorf("rendered as %s: %v %v %s", kind, err, got, answer.Header())
		}
	}
	w.get(f.at(f.images[0]) + "/thumbnail")
	w.get(f.at(f.images[0]) + "/frames/1/rendered")
	head, err := w.ask(http.MethodHead, f.at(f.images[0])+"/rendered")
	if err != nil || head.Body.Len() != 0 || head.Header().Get("Content-Type") != "image/jpeg" {
		t.Errorf("HEAD: %v %d bytes, %v", err, head.Body.Len(), head.Header())
	}

	for _, accept := range []string{`multipart/related; type="application/octet-stream"`, `multipart/related; type=application/octet-stream; transfer-syntax=*`} {
		answer := w.get(f.at(f.images[0])+"/frames/1", "Accept", accept)
		_, params, err := mime.ParseMediaType(answer.Header().Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		parts := multipart.NewReader(answer.Body, params["boundary"])
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		pixels, err := io.ReadAll(part)
		if err != nil || len(pixels) != 64*64 || len(part.Header) != 1 || !strings.HasPrefix(part.Header.Get("Content-Type"), "application/octet-stream") {
			t.Errorf("a frame of %d bytes (%v), %v", len(pixels), err, part.Header)
		}
		if _, err := parts.NextPart(); err != io.EOF {
			t.Errorf("after the frame: %v", err)
		}
	}
	whole := w.get(f.at(f.images[0]))
	if !bytes.Contains(whole.Body.Bytes(), []byte("DICM")) || !strings.Contains(whole.Header().Get("Content-Type"), "application/dicom") {
		t.Errorf("a whole instance: %v", whole.Header())
	}

	if got := w.results("/studies?StudyInstanceUID=" + f.study.UID + "&includefield=all&PatientID=other"); len(got) != 1 || got[0]["00100010"].Value == nil || got[0]["00201208"].Value[0] != 11.0 {
		t.Errorf("studies: %v", got)
	}
	if got := w.results("/studies?StudyInstanceUID=1.2.3"); len(got) != 0 {
		t.Errorf("another study: %v", got)
	}
	if got := w.results("/studies/" + f.study.UID + "/series"); len(got) != 7 {
		t.Errorf("%d series", len(got))
	}
	if got := w.results("/studies/" + f.study.UID + "/instances?limit=4&offset=9"); len(got) != 2 {
		t.Errorf("%d instances on the last page", len(got))
	}
	whom := w.results("/studies/" + f.study.UID + "/series/" + f.ct.UID + "/metadata")
	if len(whom) != 5 || whom[0]["00100010"].Value == nil || whom[0]["00081060"].Value == nil || whom[0]["00280010"].Value[0] != 64.0 {
		t.Errorf("metadata: %d, %v", len(whom), whom)
	}
	for _, uid := range w.opened {
		if uid != f.study.UID {
			t.Errorf("opened %s", uid)
		}
	}
}

func TestWhoReadsBlindIsShownNothingOfTheFirstReading(t *testing.T) {
	t.Parallel()
	f := firstReading(t)
	w := newWindow(t, archiveOf(t), f.study.UID).blind()
	search := w.results("/studies")
	if len(search) != 1 || search[0]["00201208"].Value[0] != 5.0 || search[0]["00201206"].Value[0] != 1.0 || len(search[0]["00080061"].Value) != 1 {
		t.Errorf("the study: %v", search)
	}
	for _, address := range []string{"/studies", "/studies/" + f.study.UID + "/series", "/studies/" + f.study.UID + "/instances", "/studies/" + f.study.UID + "/instances?SOPClassUID=" + phantom.KeyObjects,
		"/studies/" + f.study.UID + "/series/" + f.ct.UID + "/instances", "/studies/" + f.study.UID + "/series/" + f.ct.UID + "/metadata", f.at(f.images[0]) + "/metadata"} {
		text := w.get(address).Body.String()
		for _, secret := range []string{"Original", "Reader", `"SR"`, `"KO"`, `"PR"`, `"SEG"`, `"DOC"`} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %s", address, secret)
			}
		}
		for kind, uid := range f.notes {
			if strings.Contains(text, uid) || strings.Contains(text, f.noteTexts[kind]) {
				t.Errorf("%s tells that there is a %s", address, kind)
			}
		}
	}
	for kind, uid := range f.notes {
		in := "/studies/" + f.study.UID + "/series/" + f.noteTexts[kind]
		for _, address := range []string{in + "/metadata", in + "/instances", in + "/instances/" + uid, in + "/instances/" + uid + "/metadata", in + "/instances/" + uid + "/rendered", in + "/instances/" + uid + "/frames/1", in + "/instances/" + uid + "/bulkdata/1", f.at(uid) + "/rendered"} {
			w.refuses(address, fault.NotFound)
		}
	}
	w.refuses(f.at(f.images[0]), fault.Forbidden) // its header names who has read it
	strip, all, err := w.gateway.Strip(t.Context(), w.viewing, f.study.UID, 8)
	if err != nil || len(strip) != 5 || all != 5 || strip[0].Selected {
		t.Errorf("the strip: %v %d %v", strip, all, err)
	}
	open := newWindow(t, archiveOf(t), f.study.UID)
	if strip, _, err = open.gateway.Strip(t.Context(), open.viewing, f.study.UID, 8); err != nil || len(strip) != 1 || !strip[0].Selected || !strings.HasSuffix(strip[0].Path, f.images[3]+"/rendered") {
		t.Errorf("the selected images: %v %v", strip, err)
	}
}

func TestNothingButTheStudiesOfTheCaseComesThrough(t *testing.T) {
	t.Parallel()
	f, foreign := firstReading(t), firstReading(t)
	w := newWindow(t, archiveOf(t), f.study.UID)
	w.refuses("/studies/"+foreign.study.UID+"/series", fault.NotFound)
	w.refuses(foreign.at(foreign.images[0])+"/rendered", fault.NotFound)
	w.refuses("/studies/"+f.study.UID+"/series/"+foreign.ct.UID+"/metadata", fault.NotFound)
	w.refuses(f.at(foreign.images[0])+"/rendered", fault.NotFound)
	w.refuses(f.at(foreign.images[0])+"/metadata", fault.NotFound)
	if len(w.opened) != 0 {
		t.Errorf("opened %v", w.opened)
	}
	for _, address := range []string{
		"/studies/..%2f..%2f..%2fsystem", "/studies/../../system", "/studies/1.2.3%3fx/series", "/studies/1..2/series", "/studies/.1/series", "/studies/1.2./series", "/studies/http:/series",
		"/studies/" + strings.Repeat("1", 65) + "/series", "/studies/1.2@evil.example/series", "/studies/1.2%00/series", "/studies/1.2\\3/series", f.at("1.2.3#") + "/rendered",
	} {
		if _, err := w.ask(http.MethodGet, address); !fault.Is(err, fault.Value) && !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"/", "", "/series", "/instances", "/studies/" + f.study.UID, "/studies/" + f.study.UID + "/metadata", "/studies/" + f.study.UID + "/rendered", "/../system", "/studies/" + f.study.UID + "/series/" + f.ct.UID,
		f.at(f.images[0]) + "/frames/0", f.at(f.images[0]) + "/frames/1,x", f.at(f.images[0]) + "/frames/" + strings.Repeat("1,", 64) + "1", f.at(f.images[0]) + "/bulk/../../x", f.at(f.images[0]) + "/bulk//x", f.at(f.images[0]) + "/bulkx/1"} {
		w.refuses(address, fault.NotFound)
	}
	for _, query := range []string{"annotation=patient", "viewport=1", "viewport=256,256&viewport=1,1", "window=a,b", "charset=x", "viewport=99999,1", "accept=text/html"} {
		w.refuses(f.at(f.images[0])+"/rendered?"+query, fault.Value)
	}
	w.refuses(f.at(f.images[0])+"/frames/1?x=y", fault.Value)
	w.refuses("/studies/"+f.study.UID+"/instances?limit=-1", fault.Value)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		if _, err := w.ask(method, "/studies"); !fault.Is(err, fault.MethodNotAllowed) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// hostile is a PACS that answers as it likes, in front of the searches of the real
// one: what is asked for of the images themselves it gets from do.
func hostile(t *testing.T, of first, do http.HandlerFunc) (workflow.Archive, *atomic.Int32) {
	t.Helper()
	real, asked := archiveOf(t), new(atomic.Int32)
	behind, err := url.Parse(pacs.Base)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Cookie")+r.Header.Get("Authorization"), "secret-of-the-browser") || r.Method != http.MethodGet {
			t.Errorf("the PACS was sent %s %v", r.Method, r.Header)
		}
		if strings.Contains(r.URL.Path, "/series/"+of.ct.UID) && (strings.HasSuffix(r.URL.Path, "/rendered") || strings.HasSuffix(r.URL.Path, "/metadata") || strings.Contains(r.URL.Path, "/frames/") || strings.Contains(r.URL.Path, "/bulk")) {
			asked.Add(1)
			do(w, r)
			return
		}
		r2 := r.Clone(r.Context())
		r2.Header.Del("Accept-Encoding")
		r2.URL.Scheme, r2.URL.Host, r2.RequestURI, r2.Host = behind.Scheme, behind.Host, "", behind.Host
		r2.URL.Path = behind.Path + r.URL.Path
		res, err := http.DefaultClient.Do(r2)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	t.Cleanup(server.Close)
	real.BaseURL = server.URL
	return real, asked
}

func TestAPACSThatAnswersSomethingElseIsNotBelieved(t *testing.T) {
	t.Parallel()
	f := firstReading(t)
	say := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Set-Cookie", "of=the-pacs")
			w.Header().Set("X-Frame-Options", "ALLOWALL")
			_, _ = io.WriteString(w, body)
		}
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	page := "<!doctype html><script>alert(1)</script>"
	for name, c := range map[string]struct {
		do   http.HandlerFunc
		path string
		kind fault.Kind
	}{
		"a page for a picture":       {say("text/html", page), "/rendered", fault.Unavailable},
		"a page called a picture":    {say("image/png", page), "/rendered", fault.Unavailable},
		"SVG":                        {say("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>"), "/rendered", fault.Unavailable},
		"a huge picture":             {say("image/png", "\x89PNG\r\n\x1a\n"+strings.Repeat("x", 17<<20)), "/rendered", fault.TooLarge},
		"a redirect":                 {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, "/rendered", fault.Unavailable},
		"a page for metadata":        {say("text/html", page), "/metadata", fault.Unavailable},
		"no array":                   {say("application/dicom+json", "{}"), "/metadata", fault.Unavailable},
		"a page for a frame":         {say("text/html", page), "/frames/1", fault.Unavailable},
		"a page within the parts":    {say("multipart/related; type=\"text/html\"; boundary=b", "--b\r\nContent-Type: text/html\r\n\r\n"+page+"\r\n--b--\r\n"), "/frames/1", fault.Unavailable},
		"a script as the bulk":       {say("text/javascript", "alert(1)"), "/bulkdata/x", fault.Unavailable},
		"credentials are not enough": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "/rendered", fault.Unavailable},
		"it is not there any more":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "/rendered", fault.NotFound},
		"it breaks":                  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "/rendered", fault.Unavailable},
		"a picture that is cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "\x89PNG\r\n\x1a\n")
		}, "/rendered", fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive, asked := hostile(t, f, c.do)
			w := newWindow(t, archive, f.study.UID).blind()
			w.refuses(f.at(f.images[0])+c.path, c.kind)
			if asked.Load() != 1 {
				t.Errorf("asked %d times", asked.Load())
			}
		})
	}
}

// TestMetadataOfSomethingElseIsLeftOut: what a PACS slips in among the data sets of a
// series, and where it says that its bulk data are.
func TestMetadataOfSomethingElseIsLeftOut(t *testing.T) {
	t.Parallel()
	f := firstReading(t)
	own := "/studies/" + f.study.UID + "/series/" + f.ct.UID + "/instances/" + f.images[0]
	archive, _ := hostile(t, f, func(w http.ResponseWriter, r *http.Request) {
		base := "http://" + r.Host
		text, _ := json.Marshal([]any{
			map[string]any{"00080018": map[string]any{"vr": "UI", "Value": []string{f.notes["SR"]}}, "00080016": map[string]any{"vr": "UI", "Value": []string{"1.2.840.10008.5.1.4.1.1.88.22"}}},
			map[string]any{
				"00080018": map[string]any{"vr": "UI", "Value": []string{f.images[0]}}, "00080016": map[string]any{"vr": "UI", "Value": []string{"1.2.840.10008.5.1.4.1.1.2"}},
				"00081190": map[string]any{"vr": "UR", "Value": []string{base + own}},
				"00280010": map[string]any{"vr": "US", "Value": []int{64}},
				"00091001": map[string]any{"vr": "LO", "Value": []string{"private"}},
				"60003000": map[string]any{"vr": "OW", "InlineBinary": "AAAA"},
				"00081199": map[string]any{"vr": "SQ", "Value": []any{map[string]any{"00400A123": map[string]any{"vr": "PN"}}}},
				"7FE00010": map[string]any{"vr": "OW", "BulkDataURI": base + own + "/bulk/7fe00010"},
				"00420011": map[string]any{"vr": "OB", "BulkDataURI": "https://evil.example/x"},
				"00420012": map[string]any{"vr": "OB", "BulkDataURI": base + "/studies/1.2.3/series/1/instances/1/bulk/1"},
			},
		})
		w.Header().Set("Content-Type", "application/dicom+json")
		_, _ = w.Write(text)
	})
	w := newWindow(t, archive, f.study.UID).blind()
	func() { // a name that is no tag ends the answer unfinished
		defer func() {
			if recover() != http.ErrAbortHandler { //nolint:errorlint // as panicked with
				t.Error("an answer that is none was given")
			}
		}()
		w.get("/studies/" + f.study.UID + "/series/" + f.ct.UID + "/metadata")
	}()
	archive, _ = hostile(t, f, func(w http.ResponseWriter, r *http.Request) {
		base := "http://" + r.Host
		text, _ := json.Marshal([]any{
			map[string]any{"00080018": map[string]any{"vr": "UI", "Value": []string{f.notes["SR"]}}},
			map[string]any{
				"00080018": map[string]any{"vr": "UI", "Value": []string{f.images[0]}}, "00080016": map[string]any{"vr": "UI", "Value": []string{"1.2.840.10008.5.1.4.1.1.2"}},
				"00081190": map[string]any{"vr": "UR", "Value": []string{base + own}},
				"00280010": map[string]any{"vr": "US", "Value": []int{64}},
				"00091001": map[string]any{"vr": "LO", "Value": []string{"private"}},
				"60003000": map[string]any{"vr": "OW", "InlineBinary": "AAAA"},
				"00089215": map[string]any{"vr": "SQ", "Value": []any{map[string]any{"0040A123": map[string]any{"vr": "PN", "Value": []any{map[string]string{"Alphabetic": "Original^Reader"}}}, "00080104": map[string]any{"vr": "LO", "Value": []string{"kept"}}}}},
				"7FE00010": map[string]any{"vr": "OW", "BulkDataURI": base + own + "/bulk/7fe00010"},
				"00420011": map[string]any{"vr": "OB", "BulkDataURI": "https://evil.example/x"},
				"00420012": map[string]any{"vr": "OB", "BulkDataURI": base + "/studies/1.2.3/series/1/instances/1/bulk/1"},
			},
		})
		w.Header().Set("Content-Type", "application/dicom+json")
		_, _ = w.Write(text)
	})
	w = newWindow(t, archive, f.study.UID).blind()
	text := w.get("/studies/" + f.study.UID + "/series/" + f.ct.UID + "/metadata").Body.String()
	for _, want := range []string{root + own + "/bulk/7fe00010", "00280010", "kept"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in %s", want, text)
		}
	}
	for _, secret := range []string{"evil", "1.2.3", "private", "00081190", "60003000", "Original", f.notes["SR"]} {
		if strings.Contains(text, secret) {
			t.Errorf("%s stands in %s", secret, text)
		}
	}
}

func TestAPACSThatIsDownIsSaidToBe(t *testing.T) {
	t.Parallel()
	archive := archiveOf(t)
	archive.BaseURL = "http://127.0.0.1:9/dicom-web"
	w := newWindow(t, archive, newUID())
	w.refuses("/studies", fault.Unavailable)
	w.refuses("/studies/"+w.viewing.Studies[0].UID+"/series", fault.Unavailable)
	if _, _, err := w.gateway.Strip(t.Context(), w.viewing, w.viewing.Studies[0].UID, 8); !dicomweb.Unanswered(err) || dicomweb.Pending(err) {
		t.Errorf("the strip: %v", err)
	}
	archive.BaseURL = "http://169.254.169.254/latest" // what an operator may have set, the guard forbids
	guarded, err := outbound.New(outbound.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	w = newWindow(t, archive, newUID())
	w.gateway = dicomweb.NewGateway("test", guarded, time.Now)
	w.refuses("/studies/"+w.viewing.Studies[0].UID+"/series", fault.Unavailable)

	archive = archiveOf(t)
	w = newWindow(t, archive, newUID())
	w.refuses("/studies/"+w.viewing.Studies[0].UID+"/series", fault.NotFound) // it has not got it
	if got := w.results("/studies"); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// TestASlowPACSHoldsNoPageUp: the question goes on, and who asks again has the answer.
func TestASlowPACSHoldsNoPageUp(t *testing.T) {
	t.Parallel()
	f := firstReading(t)
	archive, _ := hostile(t, f, nil)
	answered := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-answered
		http.Redirect(w, r, archive.BaseURL+r.URL.String(), http.StatusFound) // never followed
	}))
	t.Cleanup(slow.Close)
	archive.BaseURL = slow.URL
	w := newWindow(t, archive, f.study.UID)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, _, err := w.gateway.Strip(ctx, w.viewing, f.study.UID, 8); !dicomweb.Pending(err) {
		t.Errorf("%v", err)
	}
	close(answered)
	if _, _, err := w.gateway.Strip(t.Context(), w.viewing, f.study.UID, 8); dicomweb.Pending(err) || !dicomweb.Unanswered(err) {
		t.Errorf("%v", err)
	}
}
